"""Fails unless two safetensors files hold the same tensors."""
import sys

import safetensors_header


def tensors(path):
    start, header = safetensors_header.read(path)
    data = open(path, "rb").read()
    return {name: (entry["dtype"], entry["shape"], data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


a, b = (tensors(path) for path in sys.argv[1:])
assert a and a == b, set(a) ^ set(b)
