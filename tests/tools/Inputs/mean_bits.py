"""Fails unless the quantized weights of an overlay take at most --most bits on average, the figure that search has said."""
import argparse
import json
import re

import safetensors_header

parser = argparse.ArgumentParser()
parser.add_argument("overlay")
parser.add_argument("--most", type=float, required=True)
parser.add_argument("--said", required=True)
arguments = parser.parse_args()
ledger = json.loads(safetensors_header.read(arguments.overlay)[1]["__metadata__"]["qopt.ledger"])
rows = [row for row in ledger["rows"] if row["status"] == "quantized"]
bits = 8 * sum(row["bytes"] for row in rows) / sum(row["elements"] for row in rows)
said = float(re.search(r"([0-9.]+) bits per weight with", open(arguments.said).read()).group(1))
assert bits <= arguments.most and abs(bits - said) < 6e-4, (bits, said)
