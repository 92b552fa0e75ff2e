"""Holds the sensitivities of DIR/report.json against `QOPT eval` of models with one linear alone rounded.

Usage: sensitivities.py DIR QOPT TEXT: DIR has m.mlir and its artifact m.qopt; TEXT has 13 windows of 32 tokens.
"""
import json
import pathlib
import subprocess
import sys

folder, qopt, text = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
report = json.loads((folder / "report.json").read_text())
for weight in report["weights"][::4] + report["weights"][-1:]:
    recipe, mlir, artifact = folder / "one.yaml", folder / "one.mlir", folder / "one.qopt"
    recipe.write_text(f'version: 1\nscheme: keep\nhead: keep\nrules: [{{match: {weight["name"]}, scheme: {weight["probe"]}}}]\n')
    subprocess.run([qopt, "quantize", mlir.with_name("m.mlir"), "--recipe", recipe, "-o", mlir], check=True)
    subprocess.run([qopt, "compile", mlir, "-o", artifact], check=True)
    said = subprocess.run([qopt, "eval", artifact, "--against", folder / "m.qopt", "--text", text, "--window", "32", "--json"],
                          check=True, capture_output=True)
    found = json.loads(said.stdout)
    assert found["protocol"]["windows"] == 13, found["protocol"]
    wanted = found["kl_divergence"]["value"]
    assert wanted > 1e-6 and abs(weight["kl"] - wanted) < 1e-3 * wanted, (weight["name"], weight["kl"], wanted)
    print(weight["name"], weight["kl"], wanted)
