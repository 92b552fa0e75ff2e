#!/usr/bin/env python3
"""Models whose weights have schemes of their own, drawn by a seed: they compile, and compute what the reference evaluator does.

Usage: mixed_models.py --qopt QOPT --logits MODEL-LOGITS --work DIR

What is joined and what becomes a loop over layers depends on which neighbours are alike, so few schemes and many layers: runs of
layers that are alike begin and end anywhere, in the middle of a layer too.
"""
import argparse
import pathlib
import random
import shutil
import sys

import fold_models

SCHEMES = ("w4a32:g32:asym", "w4a32:g32:asym", "w4a32:g32:asym", "w8a32:g32", "w2a32:g32")
SEEDS = (0, 2, 3, 8, 9, 11)
# Random weights of 2 bits amplify roundings in f32 from layer to layer; values in the wrong place differ by much more.
TOLERANCE = 1e-3


def recipe(names, draw):
    """Whole layers of one scheme, but for some weights."""
    lines = ["version: 1", "scheme: w4a32:g32:asym", "head: keep", "rules:"]
    for name in names:
        if draw.random() < 0.15:
            lines.append(f"  - {{match: {name}, scheme: {draw.choice(SCHEMES[2:])}}}")
    return "\n".join(lines if len(lines) > 4 else lines[:3]) + "\n"


def check(arguments, seed, work):
    draw = random.Random(seed)
    graph = fold_models.Graph(grouped=True, bias=draw.random() < 0.3, tied=False, gated=True, norm="rms")
    plain, quantized, artifact = (work / name for name in ("plain.mlir", "quantized.mlir", "quantized.qopt"))
    graph.write(plain)
    names = [name for name, shape in graph.parameters.items() if name.startswith("layer.") and shape.count("x") == 2]
    mixed = work / "mixed.yaml"
    mixed.write_text(recipe(names, draw), encoding="utf-8")
    fold_models.run(arguments.qopt, "quantize", plain, "--recipe", mixed, "-o", quantized)
    fold_models.run(arguments.qopt, "compile", quantized, "--target", "native", "-o", artifact)
    text = fold_models.run(arguments.logits, quantized, artifact, TOLERANCE, *fold_models.PROMPT)
    return f"{len(mixed.read_text(encoding='utf-8').splitlines()) - 4} other schemes, logits within {fold_models.greatest_difference(text):.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--qopt", "--logits", "--work"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    fold_models.LAYERS, fold_models.HIDDEN, fold_models.DIM, fold_models.INNER = 8, 64, 16, 96
    failures = 0
    for seed in SEEDS:
        work = pathlib.Path(arguments.work)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            print(f"seed {seed}: {check(arguments, seed, work)}", flush=True)
        except RuntimeError as error:
            failures += 1
            print(f"seed {seed}: FAILED: {error}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
