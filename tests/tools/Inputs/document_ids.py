"""Prints the ids of documents as calibration joins them: document_ids.py TOKENIZER FILE FIELD END [--plain]

Each line of FILE is a JSON object whose FIELD is text; END is the id between two. --plain: special tokens in it are text.
"""
import json
import subprocess
import sys

tokenizer, path, field, end, *flags = sys.argv[1:]
documents = []
for line in open(path, encoding="utf-8"):
    command = ["qopt", "tokenize", tokenizer, "--text", "-", "--no-special", *flags]
    documents.append(subprocess.run(command, input=json.loads(line)[field], text=True, check=True, stdout=subprocess.PIPE).stdout)
print(f" {end} ".join(" ".join(ids.split()) for ids in documents))
