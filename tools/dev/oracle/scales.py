#!/usr/bin/env python3
"""SmoothQuant's and AWQ's scales in numpy and f64, written from the papers' formulas: the independent opinion on qopt's.

SmoothQuant (Xiao et al., 2023, equation 4)    s_j = max|X_j|^α / max|W_j|^(1-α), all three at least 1e-5
AWQ (Lin et al., 2023, equations 4 and 5)      s = x^α, or x^α / (w^(1-α) + 1e-4), at least 1e-4, over √(max s · min s)
    x = mean|X_j|, w = mean over rows of |w| / max|w of its group|, means also over the channels that share a factor
    objective  Σ tr(ΔW·H·ΔWᵀ), ΔW = round(W·S)·S⁻¹ - W, over α = 0, 0.05 … 1 and both forms, and s = 1;
               by module: Σ (y' - y)² of what attention or MLP gives on the first 8192 tokens of the samples, for the sites at
               the beginning of one

For each site of the archive of factors: that its factors are those of the formula at the α it names; and for AWQ that no
other candidate is better by more than 1%, and that the gain it names is the objective's. (A symmetric group's greatest
weight lies at 7.5 steps, in the middle between two codes: the last bit of a candidate decides which one it gets.)

Usage: scales.py awq|smooth_quant SOURCE.safetensors STATISTICS.safetensors SCALES.safetensors [--scheme S]
                 [--shrink 0.1] [--head-dim 64] [--module CHECKPOINT]
Exit code 0: all hold; 1: something does not; 2: nothing to compare. Needs numpy alone.
"""
import argparse
import importlib
import json
import pathlib
import struct
import sys

import numpy as np

import rtn

oracle_statistics = importlib.import_module("statistics")

SLACK = 0.01  # of the objective, between candidates


def metadata(path, key):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(json.loads(file.read(length))["__metadata__"][key])


def owner_of_channel(channels, factors, dim):
    """The factor of each channel: query heads in a row share that of their value head."""
    times = channels // factors
    channel = np.arange(channels)
    return channel if times == 1 else channel // (dim * times) * dim + channel % dim


def pooled(values, owner, factors, how):
    result = np.zeros(factors)
    for factor in range(factors):
        result[factor] = how(values[owner == factor])
    return result


def awq_candidate(x, w, alpha, uses_weights):
    s = np.maximum(x**alpha / (w ** (1 - alpha) + 1e-4 if uses_weights else 1), 1e-4)
    return s / np.sqrt(s.max() * s.min())


def awq_error(weights, h, scheme, scale):
    error = 0.0
    for w in weights:
        scaled = (w * scale.astype(np.float32)).astype(np.float32)
        delta = rtn.dequantize(*rtn.quantize(scaled, scheme), scheme) / scale - w
        error += float(np.einsum("ri,ij,rj->", delta, h, delta, optimize=True))
    return error


class Modules:
    """A model, by which the error of a site is that of its attention or MLP."""

    def __init__(self, checkpoint, samples):
        self.model = oracle_statistics.Model(checkpoint)
        self.samples = samples[: max(8192 // samples.shape[1], 1)]
        self.inputs = [self.model.inputs(tokens) for tokens in self.samples]

    def error(self, site, readers, weights, scheme, scale):
        place, module = site.split("self_attn.")[0].split("mlp.")[0], "attention" if "self_attn." in site else "mlp"
        exact, changed = {}, {}
        for name, w in zip(readers, weights):
            scaled = (w * scale.astype(np.float32)).astype(np.float32)
            changed[name] = rtn.dequantize(*rtn.quantize(scaled, scheme), scheme) / scale
        error = 0.0
        for inputs in self.inputs:
            outputs = [getattr(self.model, module)(place, inputs[site],
                                                   lambda name, x, of=of: x @ (of.get(name, self.model.weight(name))).T)
                       for of in (exact, changed)]
            error += float(((outputs[1] - outputs[0]) ** 2).sum())
        return error


def check_awq(site, factor, found, weights, statistics, scheme, shrink, owner, tokens, readers, modules):
    h = statistics.floats(site + ".gram").astype(np.float64)
    h = h * (1 - shrink) + np.diag(np.diag(h)) * shrink

    def error_of(scale):
        if modules and len(readers) > 1:
            return modules.error(site, readers, weights, scheme, scale)
        return awq_error(weights, h, scheme, scale)

    x = pooled(statistics.stored(site + ".magnitude") / tokens, owner, len(factor), np.mean)
    group = scheme.group or weights[0].shape[1]
    relative = []
    for w in weights:
        groups = np.abs(w).reshape(w.shape[0], -1, group)
        relative.append((groups / np.maximum(groups.max(axis=2, keepdims=True), 1e-30)).reshape(w.shape))
    w_mean = pooled(np.concatenate(relative).mean(axis=0), owner, len(factor), np.mean)
    expected = awq_candidate(x, w_mean, found["alpha"], found["weights"])
    formula = float(np.max(np.abs(factor / expected - 1)))
    ours, unscaled = (error_of(s) for s in (factor[owner], np.ones(len(owner))))
    best = min(error_of(awq_candidate(x, w_mean, i / 20, uses)[owner])
               for i in range(21) for uses in (True, False))
    holds = formula < 1e-5 and ours <= min(best, unscaled) * (1 + SLACK) and abs(ours / unscaled / found["gain"] - 1) < 1e-3
    print(f"{site}: alpha {found['alpha']}: formula {formula:.1e}, error {ours / unscaled:.4f} of unscaled, "
          f"best {best / unscaled:.4f}{'' if holds else '   FAILS'}")
    return holds


def check_smooth_quant(site, factor, found, weights, statistics, owner):
    x = pooled(statistics.floats(site + ".greatest").astype(np.float64), owner, len(factor), np.max)
    w = pooled(np.max([np.abs(each).max(axis=0) for each in weights], axis=0).astype(np.float64), owner, len(factor),
               np.max)
    alpha = found["alpha"]
    expected = np.maximum(np.maximum(x, 1e-5) ** alpha / np.maximum(w, 1e-5) ** (1 - alpha), 1e-5)
    formula = float(np.max(np.abs(factor / expected - 1)))
    holds = formula < 1e-6
    print(f"{site}: alpha {alpha}: formula {formula:.1e}{'' if holds else '   FAILS'}")
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithm", choices=["awq", "smooth_quant"])
    for name in ("source", "statistics", "scales"):
        parser.add_argument(name)
    parser.add_argument("--scheme", default="w4a16")
    parser.add_argument("--shrink", type=float, default=0.1)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--module", type=pathlib.Path, help="the model, for AWQ's objective by module")
    arguments = parser.parse_args()
    source, statistics, scales = (rtn.Safetensors(path) for path in
                                  (arguments.source, arguments.statistics, arguments.scales))
    description = metadata(arguments.statistics, "qopt.statistics")
    readers = {site["name"]: site["parameters"] for site in description["sites"]}
    tokens = description["samples"]["count"] * description["samples"]["length"]
    modules = None
    if arguments.module:
        rtn.DTYPES.update({"I32": np.int32})
        modules = Modules(arguments.module, np.array(statistics.stored("samples.tokens")))
    results = []
    for found in metadata(arguments.scales, "qopt.scales")["sites"]:
        name = f"{found['site']}.{arguments.algorithm}"
        if name not in scales:
            continue
        factor = scales.floats(name).astype(np.float64)
        weights = [source.floats(parameter).astype(np.float32) for parameter in readers[found["site"]]]
        owner = owner_of_channel(weights[0].shape[1], len(factor), arguments.head_dim)
        if arguments.algorithm == "awq":
            results.append(check_awq(found["site"], factor, found, weights, statistics,
                                     rtn.parse_scheme(arguments.scheme), arguments.shrink, owner,
                                     tokens, readers[found["site"]], modules))
        else:
            results.append(check_smooth_quant(found["site"], factor, found, weights, statistics, owner))
    print(f"{sum(results)} of {len(results)} sites hold")
    return 2 if not results else 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
