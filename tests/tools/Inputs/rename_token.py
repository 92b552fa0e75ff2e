"""Gives the first added token of a tokenizer another text, in tokenizer.json and wherever else DIRECTORY names it.
Usage: rename_token.py DIRECTORY"""
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
old = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"][0]["content"]
for name in ("tokenizer.json", "tokenizer_config.json"):
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8").replace(json.dumps(old), '"<|renamed|>"'), encoding="utf-8")
