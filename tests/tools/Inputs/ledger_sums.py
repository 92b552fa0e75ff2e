"""Checks that a ledger's rows are sorted, add up to its sums, and cover every element of the checkpoint."""
import json
import math
import sys

ledger = json.load(open(sys.argv[1], encoding="utf-8"))["ledger"]
source = json.load(open(sys.argv[2], encoding="utf-8"))
rows = ledger["rows"]
errors = [row["relative_mse"] for row in rows]
assert errors == sorted(errors, reverse=True) and errors[0] > 0, errors
for key in ("elements", "bytes"):
    assert sum(row[key] for row in rows) == ledger["total"][key]
    assert sum(ledger[status][key] for status in ("quantized", "kept", "waived")) == ledger["total"][key]
elements = sum(math.prod(tensor["shape"]) for tensor in source["tensors"])
assert ledger["total"]["elements"] == elements, (ledger["total"], elements)
