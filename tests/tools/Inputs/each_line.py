"""each_line.py SEVERAL ONE: the first line of `qopt eval A B --json` is what `qopt eval A --json` says; the second model is other."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    lines = [json.loads(line) for line in file]
with open(sys.argv[2], encoding="utf-8") as file:
    alone = json.load(file)
assert len(lines) == 2, len(lines)
OF_THE_RUN = ("seconds", "peak_resident_bytes")
for key, value in alone.items():
    assert key in OF_THE_RUN or lines[0][key] == value, (key, lines[0][key], value)
assert lines[1]["model"] != lines[0]["model"] and lines[1]["kl_divergence"]["value"] != lines[0]["kl_divergence"]["value"]
