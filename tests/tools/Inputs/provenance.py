"""Prints how an overlay (--overlay) or an artifact (the JSON of inspect) was made, and writes the recipe that it names."""
import argparse
import json
import pathlib

import safetensors_header

parser = argparse.ArgumentParser()
parser.add_argument("file", type=pathlib.Path)
parser.add_argument("--overlay", action="store_true")
parser.add_argument("--stats", type=pathlib.Path)
parser.add_argument("--recipe-to", type=pathlib.Path, required=True)
arguments = parser.parse_args()


def metadata(path):
    return safetensors_header.read(path)[1]["__metadata__"]


if arguments.overlay:
    made = json.loads(metadata(arguments.file)["qopt.provenance"])
else:
    [made] = json.loads(arguments.file.read_text())["manifest"]["provenance"]["quantization"]
print("qopt", made["qopt"])
print("model", made["model"])
if "statistics" in made:
    key = json.loads(metadata(arguments.stats)["qopt.statistics"])["key"]
    print("statistics are those of the file" if made["statistics"]["key"] == key else "statistics are others")
    print(f"seed {key['seed']}, samples {key['samples']}, length {key['length']}")
    print("tokenizer", key["tokenizer"])
    print("text", key["texts"][0]["digest"])
for scales in made.get("scales", []):
    print(f"scales {scales['algorithm']}, {len(scales['sites'])} sites")
arguments.recipe_to.write_text(made["recipe"])
