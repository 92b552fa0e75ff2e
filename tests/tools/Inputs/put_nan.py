"""Puts a NaN at a row and column of an f32 tensor in a safetensors file."""
import struct
import sys

import safetensors_header

path, tensor, row, column = sys.argv[1:]
start, header = safetensors_header.read(path)
entry = header[tensor]
with open(path, "r+b") as file:
    file.seek(start + entry["data_offsets"][0] + 4 * (int(row) * entry["shape"][1] + int(column)))
    file.write(struct.pack("<f", float("nan")))
