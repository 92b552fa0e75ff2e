#!/usr/bin/env python3
"""Static ranges of activations in numpy and f64: the independent opinion on those that qopt has chosen.

Runs the model of a Hugging Face directory over the samples of the statistics and takes x, the inputs of every linear, over the
factors that were folded in since, if there are any. Of each site of the overlay's provenance, with r = 127 times its scale:
    max         r is max|x|, to f32 arithmetic
    percentile  r is numpy's percentile of |x|, to the width of a bin, 0.8%
    error       Σ (x - s·q(x))² at r is at most 5% above the least over r = max|x|·2^(-i/64), i = 0 … 639
and the fraction named as clamped is that of |x| > r, to a thousandth of all values or a tenth of itself.

Usage: activations.py CHECKPOINT STATISTICS.safetensors OVERLAY.safetensors --range max|percentile|error [--percentile P]
                      [--factors SCALES.safetensors] [--head-dim 64]
Exit code 0: all hold; 1: something does not; 2: nothing to compare. Needs numpy alone.
"""
import argparse
import pathlib
import sys

import numpy as np

import rtn
import scales
import statistics


def squared_error(x, bound):
    step = bound / 127
    return float(np.sum((x - step * np.clip(np.rint(x / step), -127, 127)) ** 2))


def check(site, x, arguments):
    magnitude, bound = np.abs(x).ravel(), 127 * site["scale"]
    greatest = float(magnitude.max())
    if arguments.range == "max":
        off, limit = abs(bound / greatest - 1), 1e-5
    elif arguments.range == "percentile":
        off, limit = abs(bound / float(np.percentile(magnitude, arguments.percentile)) - 1), 0.008
    else:
        least = min(squared_error(x, greatest * 2 ** (-i / 64)) for i in range(640))
        off, limit = squared_error(x, bound) / least - 1, 0.05
    # The least error is f64's of values; an f32 activation at the range itself may lie on either side.
    beyond = float(np.mean(magnitude > bound * (1 + 1e-6)))
    clamped = abs(site["clamped"] - beyond) <= max(1e-3, beyond / 10)
    holds = off <= limit and clamped and abs(site["greatest"] / greatest - 1) < 1e-5
    print(f"{site['site']}: range {bound:.4g} of {greatest:.4g}, {100 * beyond:.3f}% beyond, off by {off:.1e}"
          f"{'' if holds else '   FAILS'}")
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    for name in ("statistics", "overlay"):
        parser.add_argument(name)
    parser.add_argument("--range", choices=["max", "percentile", "error"], required=True)
    parser.add_argument("--percentile", type=float)
    parser.add_argument("--factors")
    parser.add_argument("--head-dim", type=int, default=64)
    arguments = parser.parse_args()
    rtn.DTYPES.update({"I32": np.int32, "F64": np.float64})
    model = statistics.Model(arguments.checkpoint)
    samples = [model.inputs(tokens) for tokens in np.array(rtn.Safetensors(arguments.statistics).stored("samples.tokens"))]
    factors = rtn.Safetensors(arguments.factors) if arguments.factors else ()
    results = []
    for site in scales.metadata(arguments.overlay, "qopt.provenance").get("activations", []):
        x = np.concatenate([sample[site["site"]] for sample in samples])
        name = site["site"] + ".smooth_quant"
        if name in factors:
            factor = factors.floats(name).astype(np.float64)
            x = x / factor[scales.owner_of_channel(x.shape[1], len(factor), arguments.head_dim)]
        results.append(check(site, x, arguments))
    print(f"{sum(results)} of {len(results)} sites hold")
    return 2 if not results else 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
