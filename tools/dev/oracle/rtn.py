#!/usr/bin/env python3
"""Round to nearest in numpy: the independent opinion that qopt's own quantizer is compared with.

Written from the formulas that docs and lib/Numerics/RoundToNearest.h state, with numpy's f32 arithmetic:

    L = 2^bits - 1, one group w of a row, all in f32, rint to nearest even
    symmetric     s = store(max|w| / (L/2))                  u = clamp(rint(w/s) + 2^(bits-1), 0, L)
    asymmetric    lo = min(0, w), hi = max(0, w)
                  s = store((hi - lo) / L)                   z = clamp(rint(-lo/s), 0, L)
                                                             u = clamp(rint(w/s) + z, 0, L)
    store rounds to f16, bf16 or f32; where that gives 0: u = z, and z = 0 if it is stored

As a module:   codes, scales, zeros = quantize(weights, parse_scheme("w4a8:g64:asym:f16"))
As a program:  rtn.py quantize SOURCE.safetensors -o OVERLAY.safetensors --scheme w4a8:g64:asym
               rtn.py compare  SOURCE.safetensors OVERLAY.safetensors    --scheme w4a8:g64:asym
`compare` quantizes every source tensor whose codes the overlay holds, and compares codes, scales and zero points bit by
bit. Exit code 0: all equal; 1: some differ; 2: nothing to compare, or input that cannot be read. Needs numpy alone.
"""

import argparse
import dataclasses
import json
import re
import struct
import sys

import numpy as np


@dataclasses.dataclass(frozen=True)
class Scheme:
    """The weight half of a scheme: what decides codes, scales and zero points."""

    bits: int
    symmetric: bool
    group: int  # 0: one group per row
    scale: str  # "f16", "bf16" or "f32"


def parse_scheme(text):
    """w{2,3,4,8}a{8,8t,8g32,8s,16,32}[:g{32,64,128,256}|:channel][:sym|:asym][:f16|:bf16|:f32]; defaults g64, sym, f16."""
    head, *parts = text.split(":")
    match = re.fullmatch(r"w([234568])a(8|8t|8g32|8s|16|32)", head)
    if not match:
        raise ValueError(f"not a scheme: {text}")
    group, symmetric, scale = 64, True, "f16"
    for part in parts:
        if part in ("g32", "g64", "g128", "g256"):
            group = int(part[1:])
        elif part == "channel":
            group = 0
        elif part in ("sym", "asym"):
            symmetric = part == "sym"
        elif part in ("f16", "bf16", "f32"):
            scale = part
        else:
            raise ValueError(f"not a part of a scheme: {part}")
    return Scheme(int(match.group(1)), symmetric, group, scale)


def bfloat16_bits(values):
    """Non-negative f32 → the bits of the nearer bf16 neighbour; of two equally near ones, the even. Exact in f64."""
    below = values.view(np.uint32) >> np.uint32(16)
    above = below + np.uint32(1)
    down = values.astype(np.float64) - bfloat16_values(below).astype(np.float64)
    up = bfloat16_values(above).astype(np.float64) - values.astype(np.float64)
    go_up = (up < down) | ((up == down) & (above % 2 == 0))
    return np.where(go_up, above, below).astype(np.uint16)


def bfloat16_values(bits):
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def store_scales(scales, form):
    """f32 scales → (as stored, the f32 they stand for). bf16 is stored as its uint16 bits."""
    if form == "f32":
        return scales, scales
    if form == "f16":
        with np.errstate(over="ignore"):
            stored = scales.astype(np.float16)
        return stored, stored.astype(np.float32)
    stored = bfloat16_bits(scales)
    return stored, bfloat16_values(stored)


def quantize(weights, scheme):
    """weights : [rows, cols] f32 → codes : [rows, cols] u8, scales : [rows, groups], zeros : [rows, groups] u8 or None.

    Raises ValueError for a group that does not divide cols, a weight that is not finite, a scale that overflows.
    """
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    rows, cols = weights.shape
    group = scheme.group or cols
    if cols % group:
        raise ValueError(f"a group of {group} does not divide {cols}")
    if not np.isfinite(weights).all():
        raise ValueError("a weight is not finite")
    w = weights.reshape(rows, cols // group, group)
    top = np.float32(2**scheme.bits - 1)
    middle = np.float32(2 ** (scheme.bits - 1))

    with np.errstate(over="ignore"):
        if scheme.symmetric:
            exact = np.abs(w).max(axis=2) / (top / np.float32(2))
        else:
            low = np.minimum(w.min(axis=2), np.float32(0))
            high = np.maximum(w.max(axis=2), np.float32(0))
            exact = (high - low) / top
    stored, scale = store_scales(exact, scheme.scale)
    if not np.isfinite(scale).all():
        raise ValueError(f"a scale overflows {scheme.scale}")

    empty = scale == 0
    divisor = np.where(empty, np.float32(1), scale)
    if scheme.symmetric:
        zero = np.full_like(scale, middle)
    else:
        zero = np.where(empty, np.float32(0), np.clip(np.rint(-low / divisor), np.float32(0), top))
    steps = np.rint(w / divisor[:, :, None])
    codes = np.clip(steps + zero[:, :, None], np.float32(0), top)
    codes = np.where(empty[:, :, None], zero[:, :, None], codes)
    assert codes.dtype == np.float32 and scale.dtype == np.float32  # no step was widened to f64
    zeros = None if scheme.symmetric else zero.astype(np.uint8)
    return codes.astype(np.uint8).reshape(rows, cols), stored, zeros


def dequantize(codes, scales, zeros, scheme):
    """The f32 weights [rows, cols] that the codes stand for. `scales` as quantize returns them."""
    rows, cols = codes.shape
    group = scheme.group or cols
    scale = bfloat16_values(scales) if scheme.scale == "bf16" else scales.astype(np.float32)
    zero = np.full(scale.shape, 2 ** (scheme.bits - 1)) if zeros is None else zeros
    steps = codes.reshape(rows, cols // group, group).astype(np.int32) - zero.astype(np.int32)[:, :, None]
    return (scale[:, :, None] * steps.astype(np.float32)).reshape(rows, cols)


def pack_codes(codes, bits):
    """The archive's form: along a row, codes follow each other from the lowest bit of the first byte up."""
    each = np.unpackbits(codes[:, :, None], axis=2, count=bits, bitorder="little")
    return np.packbits(each.reshape(len(codes), -1), axis=1, bitorder="little")


def unpack_codes(packed, bits):
    each = np.unpackbits(packed, axis=1, bitorder="little").reshape(len(packed), -1, bits)
    return np.packbits(each, axis=2, bitorder="little")[:, :, 0]


def stored_codes(overlay, name, scheme):
    """Of a weight in an overlay: codes [rows, cols] u8, scales and zero points [rows, groups] in f64."""
    codes = unpack_codes(np.array(overlay.stored(name + ".codes")), scheme.bits)
    scale = overlay.floats(name + ".scales").astype(np.float64)
    zero = (np.full(scale.shape, 2.0 ** (scheme.bits - 1)) if scheme.symmetric
            else np.array(overlay.stored(name + ".zeros")).astype(np.float64))
    return codes, scale, zero


def values(codes, scale, zero, scheme):
    """[rows, cols] in f64: what stored_codes stand for."""
    group = scheme.group or codes.shape[1]
    return np.repeat(scale, group, axis=1) * (codes.astype(np.float64) - np.repeat(zero, group, axis=1))


# ---- safetensors, read and written here so that bf16 needs no other package ----

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16, "U8": np.uint8}


class Safetensors:
    """A file's tensors by name: (dtype name, shape, numpy array as stored; bf16 as uint16)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            self.entries = json.loads(file.read(header_bytes))
        self.entries.pop("__metadata__", None)
        self.data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + header_bytes)

    def __contains__(self, name):
        return name in self.entries

    def stored(self, name):
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        return self.data[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])

    def floats(self, name):
        values = self.stored(name)
        return bfloat16_values(values) if self.entries[name]["dtype"] == "BF16" else values.astype(np.float32)


def write_safetensors(path, tensors):
    """tensors: name → (dtype name, array)."""
    header, offset = {}, 0
    for name, (dtype, array) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def is_linear_weight(entry):
    """A matrix in a float format."""
    return entry["dtype"] in ("F32", "F16", "BF16") and len(entry["shape"]) == 2


def quantize_file(arguments, scheme):
    source, out = Safetensors(arguments.source), {}
    for name, entry in source.entries.items():
        if not is_linear_weight(entry) or not re.search(arguments.only, name):
            continue
        codes, scales, zeros = quantize(source.floats(name), scheme)
        out[arguments.codes.format(name)] = ("U8", pack_codes(codes, scheme.bits))
        out[arguments.scales.format(name)] = (scheme.scale.upper(), scales)
        if zeros is not None:
            out[arguments.zeros.format(name)] = ("U8", zeros)
    write_safetensors(arguments.output, out)
    print(f"wrote {len(out)} tensors to {arguments.output}")
    return 0 if out else 2


def differences(got, wanted):
    """How many elements differ in their bits, or a sentence if shape or type do."""
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return f"is {got.dtype} {list(got.shape)}, expected {wanted.dtype} {list(wanted.shape)}"
    got, wanted = (np.ascontiguousarray(array).view(np.uint8).reshape(array.size, -1) for array in (got, wanted))
    count = int((got != wanted).any(axis=1).sum())
    return f"differs in {count} of {len(got)}" if count else ""


def compare_files(arguments, scheme):
    source, overlay = Safetensors(arguments.source), Safetensors(arguments.overlay)
    compared = failed = 0
    for name, entry in source.entries.items():
        if arguments.codes.format(name) not in overlay or not re.search(arguments.only, name):
            continue
        codes, scales, zeros = quantize(source.floats(name), scheme)
        wanted = {arguments.codes: pack_codes(codes, scheme.bits), arguments.scales: scales}
        if zeros is not None:
            wanted[arguments.zeros] = zeros
        elif arguments.zeros.format(name) in overlay:
            print(f"{arguments.zeros.format(name)}: a symmetric scheme has no zero points")
            failed += 1
        for pattern, array in wanted.items():
            key = pattern.format(name)
            compared += 1
            problem = differences(overlay.stored(key), array) if key in overlay else "is missing"
            if problem:
                failed += 1
                print(f"{key}: {problem}")
    print(f"{compared} tensors compared, {failed} differ")
    return 2 if not compared else 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function in (("quantize", quantize_file), ("compare", compare_files)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("source", help="safetensors file with f32, f16 or bf16 matrices [rows, cols]")
        if name == "compare":
            command.add_argument("overlay", help="safetensors file with codes, scales and zero points")
        else:
            command.add_argument("-o", "--output", required=True)
        command.add_argument("--scheme", required=True)
        command.add_argument("--only", default="", help="regular expression that a tensor's name must contain")
        for part in ("codes", "scales", "zeros"):
            text = f"the overlay's name of a tensor's {part}; {{}} is the tensor's name"
            command.add_argument(f"--{part}", default="{}." + part, help=text)
    arguments = parser.parse_args()
    try:
        return arguments.function(arguments, parse_scheme(arguments.scheme))
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
