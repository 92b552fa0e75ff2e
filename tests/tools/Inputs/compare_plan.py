"""A plan against what came of it: compare_plan.py PLAN.json OVERLAY.safetensors STAGE."""

import json
import struct
import sys

plan = json.load(open(sys.argv[1]))
with open(sys.argv[2], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    metadata = json.loads(file.read(length))["__metadata__"]
rows = json.loads(metadata["qopt.ledger"])["rows"]
quantized = [row for row in rows if row["status"] == "quantized"]
assert plan["weights"] == len(quantized), (plan["weights"], len(quantized))
assert plan["quantized_bytes"] == sum(row["bytes"] for row in quantized)
assert plan["kept_bytes"] == sum(row["bytes"] for row in rows if row["status"] != "quantized")
assert plan["schemes"] == {row["scheme"]: sum(other["scheme"] == row["scheme"] for other in quantized) for row in quantized}
assert [stage["name"] for stage in plan["stages"]] == [sys.argv[3]], plan["stages"]
assert plan["problems"] == []
