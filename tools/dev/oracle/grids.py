#!/usr/bin/env python3
"""Scales and zero points in numpy: the independent opinion on the range that qopt rounds each group of weights in.

Candidates are the group's range times p = 1 - i/100, i < 80, or for `clip` ±p·max|w| within the range, p = 1 - i/20, i < 10; the
grid of a range is that of rtn.py. The first candidate with the least cost of δ = w - round(w) is chosen, H_gg the group's block:
    minmax    p = 1 alone              power     Σ |δ|^2.4
    squared   Σ δ²                     hessian   δᵀ·H_gg·δ
    diagonal  Σ H_kk·δ_k²              clip      δᵀ·H_gg·δ
    signed    δᵀ·H_gg·δ, each candidate of a symmetric scheme with its scale's sign turned as well, after it
Of GPTQ, H is that of gptq.py, shrunk. Static grids are those of W. Live ones are those of W with all feedback up to the group's
first column, from codes and grids before it:
    replayed   the overlay's: every grid is the oracle's, or costs at most 1e-4 more, and 99% are the oracle's to the bit
    free       the oracle's own from the first column: 99% of grids and codes are equal
Round to nearest has static grids, and H as the archive has it; `clip` leaves queries and keys at minmax.

Usage: grids.py SOURCE.safetensors STATISTICS.safetensors OVERLAY.safetensors --scheme S --range RULE
                (--nearest | --static | --live) [--shrink 0.1] [--damping 0.01]
Exit code 0: all hold; 1: something does not; 2: nothing to compare. Needs numpy alone.
"""
import argparse
import re
import sys

import numpy as np

import gptq
import rtn


def ranges(weights, rule):
    """Candidates (low, high) : [rows] f32 for weights : [rows, group] f32, the whole range first."""
    low, high = np.minimum(weights.min(axis=1), np.float32(0)), np.maximum(weights.max(axis=1), np.float32(0))
    if rule == "clip":
        for i in range(10):
            bound = np.float32(1 - i / 20) * np.maximum(-low, high)
            yield np.maximum(low, -bound), np.minimum(high, bound)
        return
    for i in range(1 if rule == "minmax" else 80):
        p = np.float32(1 - i / 100)
        yield p * low, p * high


def grid_of_range(low, high, scheme):
    """Scale and zero point : [rows] in f64, of ranges in f32."""
    top = np.float32(2**scheme.bits - 1)
    exact = np.maximum(high, -low) / (top / np.float32(2)) if scheme.symmetric else (high - low) / top
    _, scale = rtn.store_scales(exact, scheme.scale)
    if scheme.symmetric:
        zero = np.full(len(scale), 2.0 ** (scheme.bits - 1))
    else:
        zero = np.where(scale > 0, np.clip(np.rint(-low / np.where(scale > 0, scale, 1)), 0, top), 0)
    return scale.astype(np.float64), zero.astype(np.float64)


def steps_of(weights, scale, zero, scheme):
    """Whole steps from the zero point, for weights : [rows] or [rows, group]. The quotient is of f32, as rtn.py's: a symmetric
    group's greatest weight lies in the middle between two codes."""
    scale, zero = (a.reshape(a.shape + (1,) * (weights.ndim - 1)) for a in (scale, zero))
    quotient = weights.astype(np.float32) / np.where(scale != 0, scale, 1).astype(np.float32)
    steps = np.rint(np.clip(quotient, -zero, 2**scheme.bits - 1 - zero))
    return np.where(scale != 0, steps, 0)


def cost(weights, h, scale, zero, scheme, rule):
    delta = weights - scale[:, None] * steps_of(weights, scale, zero, scheme)
    if rule in ("hessian", "signed", "clip"):
        return np.einsum("ri,ij,rj->r", delta, h, delta)
    if rule == "power":
        return (np.abs(delta) ** 2.4).sum(axis=1)
    return (delta**2 * (np.diag(h) if rule == "diagonal" else 1)).sum(axis=1)


def choose(weights, h, scheme, rule):
    """(scale, zero) : [rows] for weights : [rows, group] and h : [group, group] in f64."""
    best = None
    for low, high in ranges(weights.astype(np.float32), rule):
        scale, zero = grid_of_range(low, high, scheme)
        for sign in (1, -1) if rule == "signed" and scheme.symmetric else (1,):
            costs = cost(weights, h, sign * scale, zero, scheme, rule)
            if best is None:
                best, chosen = costs, [scale, zero]
            better = costs < best
            best = np.where(better, costs, best)
            chosen = [np.where(better, new, old) for new, old in zip((sign * scale, zero), chosen)]
    return chosen


class Tally:
    """Grids of a weight that are ours to the bit, and how much more than the oracle's the others cost."""

    def __init__(self):
        self.same = self.of = 0
        self.excess = 0.0

    def add(self, weights, h, ours, scheme, rule):
        best = choose(weights, h, scheme, rule)
        equal = (best[0] == ours[0]) & (best[1] == ours[1])
        self.same, self.of = self.same + int(equal.sum()), self.of + len(equal)
        if not equal.all():
            costs, least = (cost(weights, h, *grid, scheme, "squared" if rule == "minmax" else rule) for grid in (ours, best))
            self.excess = float(np.max([self.excess, *((costs / np.maximum(least, 1e-30))[~equal] - 1)]))  # NaN stays


def walk(weights, h, factor, codes, scale, zero, scheme, rule, tally):
    """GPTQ in stored order with live grids, replayed into `tally` if there is one, else free. Returns codes, scale, zero."""
    w, group = weights.copy(), scheme.group or weights.shape[1]
    codes, scale, zero = codes.copy(), scale.copy(), zero.copy()
    for column in range(w.shape[1]):
        g, block = column // group, slice(column, column + group)
        if column % group == 0:
            if tally:
                tally.add(w[:, block], h[block, block], (scale[:, g], zero[:, g]), scheme, rule)
            else:
                scale[:, g], zero[:, g] = choose(w[:, block], h[block, block], scheme, rule)
        if not tally:
            codes[:, column] = (steps_of(w[:, column], scale[:, g], zero[:, g], scheme) + zero[:, g]).astype(np.uint8)
        error = (w[:, column] - scale[:, g] * (codes[:, column] - zero[:, g])) / factor[column, column]
        w[:, column + 1:] -= np.outer(error, factor[column, column + 1:])
    return codes, scale, zero


def compare(name, weights, h, overlay, scheme, arguments):
    weights, h = weights.astype(np.float64), h.astype(np.float64)
    codes, scale, zero = rtn.stored_codes(overlay, name, scheme)
    rule = arguments.range
    if arguments.nearest:
        rule = "minmax" if rule == "clip" and re.search(r"\.[qk]_proj\.", name) else rule
    else:
        h = h * (1 - arguments.shrink) + np.diag(np.diag(h)) * arguments.shrink
    tally, text, holds = Tally(), "", True
    if arguments.live:
        factor = gptq.upper_factor(h, np.arange(len(h)), 0, arguments.damping)
        walk(weights, h, factor, codes, scale, zero, scheme, rule, tally)
        free = walk(weights, h, factor, codes, scale, zero, scheme, rule, None)
        grids = float(np.mean((free[1] == scale) & (free[2] == zero)))
        equal = float(np.mean(free[0] == codes))
        text = f"; free: {100 * grids:.3f}% of grids, {100 * equal:.3f}% of codes"
        holds = grids >= 0.99 and equal >= 0.99
    else:
        group = scheme.group or weights.shape[1]
        for g in range(scale.shape[1]):
            block = slice(g * group, (g + 1) * group)
            tally.add(weights[:, block], h[block, block], (scale[:, g], zero[:, g]), scheme, rule)
    holds = holds and tally.same >= 0.99 * tally.of and tally.excess <= 1e-4
    print(f"{name}: {tally.same} of {tally.of} grids equal, the rest cost up to {tally.excess:.1e} more{text}"
          f"{'' if holds else '   FAILS'}")
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "statistics", "overlay"):
        parser.add_argument(name)
    parser.add_argument("--scheme", required=True)
    parser.add_argument("--range", choices=["minmax", "squared", "diagonal", "power", "hessian", "signed", "clip"], required=True)
    how = parser.add_mutually_exclusive_group(required=True)
    for name in ("nearest", "static", "live"):
        how.add_argument("--" + name, action="store_true")
    parser.add_argument("--shrink", type=float, default=0.1)
    parser.add_argument("--damping", type=float, default=0.01)
    arguments = parser.parse_args()
    scheme = rtn.parse_scheme(arguments.scheme)
    source, statistics, overlay = (rtn.Safetensors(path) for path in
                                   (arguments.source, arguments.statistics, arguments.overlay))
    results = [compare(name, source.floats(name), statistics.floats(site + ".gram"), overlay, scheme, arguments)
               for name, site in gptq.sites(arguments.statistics).items() if name + ".codes" in overlay]
    print(f"{sum(results)} of {len(results)} weights hold")
    return 2 if not results else 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
