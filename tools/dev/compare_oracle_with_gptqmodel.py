#!/usr/bin/env python3
"""Compares the oracle of GPTQ (oracle/gptq.py) with GPTQModel's own routine: who checks the one that checks.

For each linear, both get the same weights, the same Hessian, of seeded inputs that go together and differ in size, the same
damping and the same order of columns. Scales and zero points are GPTQModel's; codes are each one's own:
    replayed   before each column the weights are what GPTQModel's earlier codes make of them: its code must be the nearest,
               unless the weight lies within 1e-3 of a step of the middle between two
    free       how many codes are equal when the oracle goes its own way, and tr(ΔW·H·ΔWᵀ) of GPTQModel's over the oracle's.
               Codes of a row that differ follow from the first of them, and it from a tie: how near to one is printed
In stored order and with blocks of one group, GPTQModel's scales are live with all feedback, as grids.py has them: how many of
those are equal within 1e-5 is printed too.

Of model.layers.12.self_attn.q_proj.weight [576, 576] and mlp.down_proj.weight [576, 1536] of SmolLM2-135M, all codes are the
nearest; 99.70% and 98.73% of the free ones are equal, 100% and 99.95% with --asymmetric, and 99.995% and 99.94% with --order
activation. A symmetric group's greatest weight lies in the middle between two codes, and with live scales still does when the
group's first column is it: there nearly all differences begin.

Usage: compare_oracle_with_gptqmodel.py MODEL.safetensors PARAMETER… [--tokens 8192] [--seed 0] [--bits 4] [--group 64]
           [--order stored|activation] [--asymmetric]
Exit code 0: all codes are the nearest, and traces agree to 1%; 1: not. Needs numpy, torch and gptqmodel (7.7 was used); no GPU.
"""
import argparse
import pathlib
import sys

import numpy as np
import torch
from gptqmodel.quantization import QuantizeConfig
from gptqmodel.quantization.gptq import GPTQ

# After them: the oracle's statistics.py has the name of a module that they want.
sys.path.insert(0, str(pathlib.Path(__file__).parent / "oracle"))
import gptq
import grids
import rtn

DAMPING = 0.01


def inputs(tokens, channels, seed):
    """[tokens, channels] f32: sizes over two orders of magnitude, and an eighth as many directions that channels share."""
    random = np.random.default_rng(seed)
    size = np.exp(random.normal(size=channels))
    shared = random.normal(size=(tokens, channels // 8)) @ random.normal(size=(channels // 8, channels)) / np.sqrt(channels // 8)
    return (size * (shared + 0.3 * random.normal(size=(tokens, channels)))).astype(np.float32)


def peer(weights, x, arguments):
    """GPTQModel's codes [rows, cols], scales and zero points [rows, groups], and the Hessian it has seen."""
    linear = torch.nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    linear.weight.data = torch.from_numpy(weights.copy())
    activation = arguments.order == "activation"
    config = QuantizeConfig(bits=arguments.bits, group_size=arguments.group, sym=not arguments.asymmetric, desc_act=activation,
                            act_group_aware=False, static_groups=activation, damp_percent=DAMPING, mse=0.0, fallback=None)
    task = GPTQ(linear, config)
    task.quantizer.configure(perchannel=True)
    task.add_batch(torch.from_numpy(x), None)
    h = task.finalize_hessian().clone().numpy()
    rounded, scale, zero, _, _, _, damping, _ = task.quantize(blocksize=arguments.group)
    assert damping == DAMPING, damping
    scale, zero = scale.numpy().astype(np.float64), zero.numpy().astype(np.float64)
    steps = rounded.numpy().astype(np.float64) / np.repeat(scale, arguments.group, axis=1)
    codes = np.rint(steps) + np.repeat(zero, arguments.group, axis=1)
    assert np.abs(steps - np.rint(steps)).max() < 1e-3 and codes.min() >= 0 and codes.max() < 2**arguments.bits
    return codes.astype(np.uint8), scale, zero, h


def compare(name, weights, arguments):
    x = inputs(arguments.tokens, weights.shape[1], arguments.seed)
    codes, scale, zero, h = peer(weights, x, arguments)
    scheme = rtn.Scheme(arguments.bits, not arguments.asymmetric, arguments.group, "f32")
    order = np.arange(len(h)) if arguments.order == "stored" else np.argsort(-np.diag(h), kind="stable")
    factor = gptq.upper_factor(h, order, 0, DAMPING)
    _, beyond = gptq.run(weights, h, codes, scale, zero, scheme, order, factor, replay=True)
    free, _ = gptq.run(weights, h, codes, scale, zero, scheme, order, factor, replay=False)
    ratio = gptq.trace(weights, codes, scale, zero, scheme, h) / gptq.trace(weights, free, scale, zero, scheme, h)
    nearest, _, _ = rtn.quantize(weights, scheme)
    far = int(np.sum(beyond > 1e-3))
    rows = np.flatnonzero((free != codes).any(axis=1))
    first = np.argmax((free != codes)[rows][:, order], axis=1)
    begins = int(np.sum(order[first] % arguments.group == 0))
    tie = float(np.abs(beyond[rows, order[first]]).max(initial=0))
    print(f"{name} {list(weights.shape)}: replayed within {max(beyond.max(), 0):.1e} of a step of the nearest, {far} beyond 1e-3; "
          f"free: {100 * np.mean(free == codes):.3f}% of codes equal (round to nearest: {100 * np.mean(nearest == codes):.1f}%), "
          f"trace {ratio - 1:+.2e}")
    print(f"  {len(rows)} rows differ, first where the weight lies within {tie:.1e} of a step of the middle between two codes; in "
          f"{begins} that is where a group begins")
    if arguments.order == "stored":
        own, *grid = grids.walk(weights.astype(np.float64), h.astype(np.float64), factor, codes, scale, zero, scheme, "minmax",
                                None)
        close = (np.abs(grid[0] / scale - 1) <= 1e-5) & (grid[1] == zero)
        print(f"  with the oracle's own live scales: {100 * np.mean(close):.3f}% of them equal, "
              f"{100 * np.mean(own == codes):.3f}% of codes")
    return far == 0 and abs(ratio - 1) <= 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("parameters", nargs="+")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--order", choices=["stored", "activation"], default="stored")
    parser.add_argument("--asymmetric", action="store_true")
    arguments = parser.parse_args()
    model = rtn.Safetensors(arguments.model)
    results = [compare(name, model.floats(name), arguments) for name in arguments.parameters]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
