"""Whether statistics of a scaled model are those of the original over its scales: ORIGINAL SCALED SCALES (archives).

Sites whose factors are shared by several channels are left out: their channels are not those of the factors.
"""
import json
import pathlib
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "tools" / "Inputs"))
import safetensors_header


def floats(path, tensor, letter="f"):
    start, header = safetensors_header.read(path)
    first, end = header[tensor]["data_offsets"]
    raw = pathlib.Path(path).read_bytes()[start + first : start + end]
    return struct.unpack(f"<{len(raw) // struct.calcsize(letter)}{letter}", raw)


original, scaled, scales = sys.argv[1:]
_, factors = safetensors_header.read(scales)
compared = 0
for name in factors:
    if not name.endswith(".smooth_quant"):
        continue
    site, factor = name.removesuffix(".smooth_quant"), floats(scales, name)
    before, after = (floats(path, site + ".greatest") for path in (original, scaled))
    if len(factor) != len(before):
        continue
    for a, b, s in zip(before, after, factor):
        if abs(a / s - b) > 1e-4 * max(abs(b), 1e-6):
            sys.exit(f"{site}: expected {a} / {s}, but got {b}")
    compared += 1
if compared < 6:
    sys.exit(f"expected at least 6 sites, but compared {compared}")
