"""What an overlay's provenance and a run's report say of gates: gate_texts.py OVERLAY REPORT TEXT"""

import hashlib
import json
import pathlib
import sys

import safetensors_header

overlay, report, text = map(pathlib.Path, sys.argv[1:])
provenance = json.loads(safetensors_header.read(overlay)[1]["__metadata__"]["qopt.provenance"])
(one,) = provenance["gate_texts"]
same = one["digest"] == "sha256:" + hashlib.sha256(text.read_bytes()).hexdigest()
gates = [line.strip(" -{}") for line in provenance["recipe"].splitlines() if line.startswith("  - ")]
print(f"provenance: {one['name']}, {'its digest' if same else one['digest']}; recipe: {'; '.join(gates)}")
print("report:", "; ".join(f"{gate['text']} {gate['windows']} {gate['holds']}" for gate in json.loads(report.read_text())["gates"]))
