#!/usr/bin/env python3
"""Statistics of a Llama model's activations in numpy and f64, compared with those that `qopt calibrate` wrote.

Runs the model of a Hugging Face directory over the archive's own samples, whole matrices at a time, and takes the inputs of every
linear as they pass. Compares tokens, greatest magnitudes, sums and Σ x·xᵀ at every site.

Usage: statistics.py CHECKPOINT STATISTICS.safetensors [--tolerance 1e-4] [--tiles-tolerance 1e-4]
The tolerance is for f32 against f64 arithmetic, relative to a channel's own size, the other for statistics of a target that multiplies
f32 in tiles of bf16 (docs/decisions/bf16-tiles.md). Exit code 1: a difference beyond it.
Needs numpy; the checkpoint is one model.safetensors with tied or untied head.
"""
import argparse
import json
import pathlib
import struct
import sys

import numpy as np

import rtn
import transformer


def description(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(json.loads(file.read(length))["__metadata__"]["qopt.statistics"])


class Model:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tensors = rtn.Safetensors(folder / "model.safetensors")
        c = self.config
        self.dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        rope = c.get("rope_parameters") or c
        self.frequencies = transformer.frequencies(self.dim, rope["rope_theta"])

    def weight(self, name):
        return self.tensors.floats(name).astype(np.float64)

    def attention(self, place, n, linear):
        """What the attention of the layer at `place` adds, for one sample; `linear` multiplies by a weight of that name."""
        positions, kv, dim = np.arange(len(n)), self.config["num_key_value_heads"], self.dim
        q, k, v = (linear(f"{place}self_attn.{p}_proj.weight", n) for p in "qkv")
        q, k = (transformer.rotary(a, positions, dim, self.frequencies) for a in (q, k))
        return linear(place + "self_attn.o_proj.weight", transformer.attention(q, k, v, kv, dim, dim**-0.5, 0))

    def mlp(self, place, n, linear):
        """The same of the MLP."""
        gate, up = (linear(f"{place}mlp.{p}_proj.weight", n) for p in ("gate", "up"))
        return linear(place + "mlp.down_proj.weight", gate / (1 + np.exp(-gate)) * up)

    def run(self, tokens, linear):
        """One sample through all layers; `linear` as above."""
        epsilon = self.config["rms_norm_eps"]
        x = self.weight("model.embed_tokens.weight")[tokens]
        for layer in range(self.config["num_hidden_layers"]):
            place = f"model.layers.{layer}."
            n = transformer.rms_norm(x, self.weight(place + "input_layernorm.weight"), epsilon)
            x = x + self.attention(place, n, linear)
            n = transformer.rms_norm(x, self.weight(place + "post_attention_layernorm.weight"), epsilon)
            x = x + self.mlp(place, n, linear)

    def inputs(self, tokens):
        """The input of each linear, by its weight's name, for one sample."""
        seen = {}

        def linear(name, x):
            seen[name] = x
            return x @ self.weight(name).T

        self.run(tokens, linear)
        return seen


def relative(difference, size):
    """|difference| over size; 0 where both are, as for a channel that is always 0."""
    return np.divide(np.abs(difference), size, out=np.where(difference == 0, 0.0, np.inf), where=size != 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("statistics")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--tiles-tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    rtn.DTYPES.update({"I32": np.int32, "F64": np.float64})
    archive, told = rtn.Safetensors(arguments.statistics), description(arguments.statistics)
    model = Model(arguments.checkpoint)
    samples = [model.inputs(tokens) for tokens in np.array(archive.stored("samples.tokens"))]
    worst = 0.0
    for site in told["sites"]:
        x = np.concatenate([sample[site["name"]] for sample in samples])
        for parameter in site["parameters"]:
            assert all(np.array_equal(sample[parameter], sample[site["name"]]) for sample in samples), parameter
        size = np.sqrt((x**2).sum(0))
        stored = {what: np.array(archive.stored(f"{site['name']}.{what}")) for what in ("greatest", "sum", "magnitude", "gram")}
        differences = [
            np.max(relative(stored["gram"] - x.T @ x, np.outer(size, size))),
            np.max(relative(stored["greatest"] - np.abs(x).max(0), size)),
            np.max(relative(stored["sum"] - x.sum(0), np.abs(x).sum(0))),
            np.max(relative(stored["magnitude"] - np.abs(x).sum(0), np.abs(x).sum(0))),
        ]
        worst = float(np.max([worst, *differences]))  # NaN stays
    print(f"{len(told['sites'])} sites, {len(samples)} samples: greatest relative difference {worst:.2e}")
    tolerance = arguments.tiles_tolerance if told["key"]["target"].endswith("+amx") else arguments.tolerance
    return 0 if told["sites"] and worst <= tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
