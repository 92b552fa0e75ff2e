"""Quantizes a model by each YAML block of pages: run_recipes.py MODEL STATISTICS TEXT FOLDER PAGE…

A recipe that rotates needs statistics of the rotated model: it is calibrated on the way, on the text.
"""
import pathlib
import re
import subprocess
import sys

model, statistics, text, folder, *pages = sys.argv[1:]
for page in map(pathlib.Path, pages):
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    if not blocks:
        sys.exit(f"expected YAML blocks in {page}, but found none")
    for number, block in enumerate(blocks):
        recipe = pathlib.Path(folder) / f"{page.stem}-{number}.yaml"
        # The pages speak of models with longer contexts than a test's.
        recipe.write_text(block.replace("length: 512", "length: 64"))
        seen = (["--text", text, "--samples", "16", "--length", "64"] if "rotate" in block
                else ["--statistics", statistics])
        subprocess.run(["qopt", "quantize", model, "--recipe", recipe, *seen, "-o", recipe.with_suffix(".mlir")],
                       check=True)
        print(f"{page.name}: block {number} is a recipe")
