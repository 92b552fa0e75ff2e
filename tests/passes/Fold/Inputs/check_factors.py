"""Factors lie within their octaves, and are not all alike: check_factors.py (FILE OCTAVES)…"""
import pathlib
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "tools" / "Inputs"))
import safetensors_header

for path, octaves in zip(sys.argv[1::2], map(float, sys.argv[2::2])):
    start, header = safetensors_header.read(path)
    data = pathlib.Path(path).read_bytes()
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        first, end = entry["data_offsets"]
        factors = struct.unpack(f"<{(end - first) // 4}f", data[start + first : start + end])
        if not all(2**-octaves <= factor <= 2**octaves for factor in factors) or max(factors) < 1.1 * min(factors):
            sys.exit(f"{path}: {name}: {factors}")
