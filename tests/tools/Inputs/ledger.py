"""Prints the ledger of an overlay, and whether its elements are those of the checkpoint in a folder."""
import json
import math
import pathlib
import sys

import safetensors_header

overlay, folder = sys.argv[1:]
ledger = json.loads(safetensors_header.read(overlay)[1]["__metadata__"]["qopt.ledger"])
rows = ledger["rows"]
model = sum(math.prod(entry["shape"]) for path in pathlib.Path(folder).glob("*.safetensors")
            for name, entry in safetensors_header.read(path)[1].items() if name != "__metadata__")
counts = ", ".join(f"{s} {sum(r['status'] == s for r in rows)}" for s in ("quantized", "kept", "waived"))
elements = sum(r["elements"] for r in rows)
print(f"rows {len(rows)}, {counts}, elements of the model: {'all' if elements == model else elements - model}")
for row in rows:
    assert (row["relative_mse"] > 0) == (row["status"] == "quantized"), row
    print(row["name"], row["rule"], row["scheme"], f"{row['bits_per_weight']:g}")
