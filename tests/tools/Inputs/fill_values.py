"""Fills elements [FIRST, END) of an f32 tensor in a safetensors file with a value: fill_values.py FILE TENSOR FIRST END VALUE."""
import struct
import sys

import safetensors_header

path, tensor, first, end, value = sys.argv[1:]
start, header = safetensors_header.read(path)
begin, stop = (start + header[tensor]["data_offsets"][0] + 4 * int(index) for index in (first, end))
assert begin < stop <= start + header[tensor]["data_offsets"][1], header[tensor]
with open(path, "r+b") as file:
    file.seek(begin)
    file.write(struct.pack("<f", float(value)) * ((stop - begin) // 4))
