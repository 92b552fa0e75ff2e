#!/usr/bin/env python3
"""GPTQ in numpy and f64, written from the paper's formulas: the independent opinion on qopt's codes.

Frantar et al., 2023, equations 2 and 3 and the Cholesky form of section 3.3, for one weight W [rows, cols]:

    H' = H with all but its diagonal times (1 - shrink), without the inputs whose diagonal is 0
    U  = the upper Cholesky factor of (H' + λ·mean(diag H')·I)^-1, inverted as the paper writes it
    for each column i in order:   q_i = scale · (code - zero), the nearest on the grid of i's group
                                  w_j -= (w_i - q_i) / U_ii · U_ij   for all j after i

The grids are those of the overlay: this is about codes. Two comparisons:
  replayed   before each column the weights are what OUR earlier codes make of them: every code must be the nearest,
             unless the weight lies within 1e-3 of a step of the middle between two
  free       the oracle goes its own way from the first column: at least 99.9% of all codes are equal, and
             tr(ΔW·H·ΔW^T) differs by at most 0.1%
H is the archive's, or, with --follow, that of the model as it was being quantized (following.py): a forward in f32 on one side
and in f64 on the other, which may round an activation otherwise, and so swap inputs whose H_ii differ by less than 1e-4 of it.
Then 99.9% of a weight's replayed codes must be the nearest, and 99.9% of the free ones of all weights together equal: one at a
tie takes those after it in its row along.

Usage: gptq.py SOURCE.safetensors STATISTICS.safetensors OVERLAY.safetensors --scheme S [--shrink 0.1] [--order stored]
               [--damping 0.01] [--follow CHECKPOINT] [--only REGEX] [--write OTHER.safetensors]
With --write, OTHER becomes the overlay with the free codes in place of its own.
Exit code 0: all hold; 1: something does not; 2: nothing to compare. Needs numpy alone.
"""
import argparse
import json
import pathlib
import re
import shutil
import struct
import sys

import numpy as np

import following
import rtn


def sites(path):
    """Parameter → name of its site, from the statistics' description of itself."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        description = json.loads(json.loads(file.read(length))["__metadata__"]["qopt.statistics"])
    return {parameter: site["name"] for site in description["sites"] for parameter in site["parameters"]}


def upper_factor(h, order, shrink, damping):
    """U for the columns in `order`."""
    h = h[np.ix_(order, order)].astype(np.float64)
    h = h * (1 - shrink) + np.diag(np.diag(h)) * shrink
    h += damping * np.mean(np.diag(h)) * np.eye(len(order))
    return np.linalg.cholesky(np.linalg.inv(h)).T


def run(weights, h, codes, scale, zero, scheme, order, factor, replay):
    """Codes [rows, cols], and where `replay` how far each weight was from ours, in steps beyond half of one: [rows, cols]."""
    w = weights.astype(np.float64).copy()
    group = scheme.group or w.shape[1]
    chosen, beyond = codes.copy(), np.full(codes.shape, -0.5)
    for position, column in enumerate(order):
        s, z = scale[:, column // group], zero[:, column // group]
        safe = np.where(s != 0, s, 1)
        steps = np.clip(w[:, column] / safe, -z, 2**scheme.bits - 1 - z)
        steps[s == 0] = 0
        if replay:
            rounded = codes[:, column].astype(np.float64) - z
            beyond[:, column] = np.abs(steps - rounded) - 0.5
        else:
            rounded = np.rint(steps)
            chosen[:, column] = (rounded + z).astype(np.uint8)
        error = (w[:, column] - s * rounded) / factor[position, position]
        rest = order[position + 1:]
        w[:, rest] -= np.outer(error, factor[position, position + 1:])
    return chosen, beyond


def trace(weights, codes, scale, zero, scheme, h):
    delta = weights - rtn.values(codes, scale, zero, scheme)
    return float(np.einsum("ri,ij,rj->", delta, h.astype(np.float64), delta, optimize=True))


def compare(name, source, h, overlay, scheme, arguments):
    weights = source.floats(name).astype(np.float64)
    codes, scale, zero = rtn.stored_codes(overlay, name, scheme)
    live = np.flatnonzero(np.diag(h) > 0)
    order = live if arguments.order == "stored" else live[np.argsort(-np.diag(h)[live], kind="stable")]
    factor = upper_factor(h, order, arguments.shrink, arguments.damping)
    _, beyond = run(weights, h, codes, scale, zero, scheme, order, factor, replay=True)
    free, _ = run(weights, h, codes, scale, zero, scheme, order, factor, replay=False)
    ours = trace(weights, codes, scale, zero, scheme, h)
    theirs = trace(weights, free, scale, zero, scheme, h)
    far, other = int(np.sum(beyond > 1e-3)), int(np.sum(free != codes))
    if arguments.follow:
        holds = far <= codes.size // 1000
    else:
        holds = far == 0 and other <= codes.size // 1000 and abs(ours / theirs - 1) <= 1e-3
    print(f"{name}: replayed within {max(beyond.max(), 0):.2e} of a step of the nearest, {far} codes beyond 1e-3; "
          f"free: {100 - 100 * other / codes.size:.3f}% equal, trace {ours / theirs - 1:+.2e}{'' if holds else '   FAILS'}")
    if arguments.write:
        replace_codes(arguments.write, name, free, scheme.bits)
    return holds, other, codes.size


def replace_codes(path, name, codes, bits):
    """Writes codes : [rows, cols] over those of a weight, in place: they take as many bytes."""
    with open(path, "r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        begin, end = json.loads(file.read(length))[name + ".codes"]["data_offsets"]
        packed = rtn.pack_codes(codes, bits).tobytes()
        assert len(packed) == end - begin
        file.seek(8 + length + begin)
        file.write(packed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "statistics", "overlay"):
        parser.add_argument(name)
    parser.add_argument("--scheme", required=True)
    parser.add_argument("--shrink", type=float, default=0.1)
    parser.add_argument("--damping", type=float, default=0.01)
    parser.add_argument("--order", choices=["activation", "stored"], default="activation")
    parser.add_argument("--follow", type=pathlib.Path, metavar="CHECKPOINT")
    parser.add_argument("--only", default="")
    parser.add_argument("--write", metavar="OTHER")
    arguments = parser.parse_args()
    scheme = rtn.parse_scheme(arguments.scheme)
    source, statistics, overlay = (rtn.Safetensors(path) for path in
                                   (arguments.source, arguments.statistics, arguments.overlay))
    if arguments.follow:
        rtn.DTYPES["I32"] = np.int32
        samples = np.array(statistics.stored("samples.tokens"))
        followed = following.hessians(arguments.follow, samples, overlay, scheme, following.activations_of(arguments.scheme))
    if arguments.write:
        shutil.copyfile(arguments.overlay, arguments.write)
    results = []
    for name, site in sites(arguments.statistics).items():
        if name + ".codes" in overlay and re.search(arguments.only, name):
            h = followed[name] if arguments.follow else statistics.floats(site + ".gram")
            results.append(compare(name, source, h, overlay, scheme, arguments))
    held, others, sizes = (sum(column) for column in zip(*results)) if results else (0, 0, 0)
    print(f"{held} of {len(results)} weights hold, {others} of {sizes} free codes differ")
    return 2 if not results else 0 if held == len(results) and others <= sizes // 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
