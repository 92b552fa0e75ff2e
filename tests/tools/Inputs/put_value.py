"""Puts a value at an element of an f32 tensor in a safetensors file: put_value.py FILE TENSOR INDEX… VALUE."""
import struct
import sys

import safetensors_header

path, tensor, *index, value = sys.argv[1:]
start, header = safetensors_header.read(path)
entry = header[tensor]
offset = 0
for extent, at in zip(entry["shape"], index, strict=True):
    offset = offset * extent + int(at)
with open(path, "r+b") as file:
    file.seek(start + entry["data_offsets"][0] + 4 * offset)
    file.write(struct.pack("<f", float(value)))
