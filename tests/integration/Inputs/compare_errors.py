"""Compares the errors of outputs in the ledgers of overlays: compare_errors.py QOPT FILE (FILE FACTOR)…

Each weight's error in the first must lie within FACTOR of its error in each other: above by no more, and below by no more.
"""
import json
import subprocess
import sys


def errors(qopt, path):
    text = subprocess.run([qopt, "inspect", path, "--ledger", "--json"], capture_output=True, text=True, check=True).stdout
    rows = json.loads(text)["ledger"]["rows"]
    return {row["name"]: row["output_error"] for row in rows if row["status"] == "quantized"}


qopt, path, *others = sys.argv[1:]
first = errors(qopt, path)
if not first:
    sys.exit(f"{path}: nothing was quantized")
for other, factor in zip(others[::2], map(float, others[1::2])):
    second = errors(qopt, other)
    for name in first | second:
        if not second[name] / factor <= first[name] <= second[name] * factor:
            sys.exit(f"{name}: expected {first[name]:.4g} within a factor of {factor} of {second[name]:.4g} ({other})")
