"""Fails unless two overlays hold the same tensors: same_weights.py A B. How they were made, in their headers, may differ."""
import json
import sys


def parts(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return header, data[start:]


sys.exit(parts(sys.argv[1]) != parts(sys.argv[2]))
