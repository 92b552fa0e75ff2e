"""Fails unless two safetensors files hold the same tensors: same_tensors.py A B [GLOB…], of those that a glob matches."""
import fnmatch
import sys

import safetensors_header


def tensors(path, globs):
    start, header = safetensors_header.read(path)
    data = open(path, "rb").read()
    return {name: (entry["dtype"], entry["shape"], data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
            for name, entry in header.items()
            if name != "__metadata__" and any(fnmatch.fnmatchcase(name, glob) for glob in globs)}


a, b = (tensors(path, sys.argv[3:] or ["*"]) for path in sys.argv[1:3])
assert a and a == b, sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
