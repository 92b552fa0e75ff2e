#!/usr/bin/env python3
"""Writes SmolLM2-135M-Instruct, or a twin of it, as a Hugging Face directory in f32, without the tokenizer, and as a GGUF file.

    make_twins.py MODEL.gguf OUT --twin plain|dithered|rotated [--seed 0] [--as-gguf FILE]
    make_twins.py MODEL.gguf OUT --twin … --check [--plain DIR]

plain     what the GGUF file's weights stand for
dithered  each weight of a Q4_1 tensor plus noise, uniform over one step of its block (half a step to each side): weights on
          no grid, with the same outliers. Another model than the plain one, and so a reference of its own.
rotated   the residual stream in another basis, by a random orthogonal matrix; norm weights go into the linears that read them
          first, and the head is no longer the embedding. The plain model's function by weights without its outliers.

The same seed and numpy give the same bytes, the rotated twin also the same only with the same linear algebra behind numpy.
--check reads what is there: of the plain model that its weights are those of the file, of the dithered one that none is
farther than half a step and that the noise is as large as it should be, of the rotated one that logits are those of --plain
within 1e-3 (in f64, scoring/llama.py). Needs numpy and gguf.
"""

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Callable

import numpy as np

from scoring import llama, tensors
from scoring.gguf_blocks import Source

LOGIT_TOLERANCE = 1e-3  # f32 weights of a rotated model in a f64 forward pass
PROMPT = 48  # tokens of the check; any will do, since both models read the same
READERS = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
           "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj")}
WRITERS = ("self_attn.o_proj", "mlp.down_proj")


def plain(source: Source, _seed: int) -> dict[str, np.ndarray]:
    return {name: weights for name, weights, _ in source.tensors()}


def dithered(source: Source, seed: int) -> dict[str, np.ndarray]:
    made = {}
    for name, weights, steps in source.tensors():
        if steps is not None:
            # Each tensor has its own stream, so that the order of the file decides nothing.
            random = np.random.default_rng([seed, zlib.crc32(name.encode())])
            weights = weights + (random.random(weights.shape, np.float32) - np.float32(0.5)) * steps
        made[name] = weights
    return made


def rotated(source: Source, seed: int) -> dict[str, np.ndarray]:
    made = {name: weights.astype(np.float64) for name, weights, _ in source.tensors()}
    hidden = source.config["hidden_size"]
    orthogonal, triangular = np.linalg.qr(np.random.default_rng(seed).standard_normal((hidden, hidden)))
    rotation = orthogonal * np.sign(np.diagonal(triangular))  # uniform over all rotations and reflections
    head = made.get("lm_head.weight", made["model.embed_tokens.weight"])
    made["lm_head.weight"] = (head * made["model.norm.weight"]) @ rotation
    made["model.embed_tokens.weight"] = made["model.embed_tokens.weight"] @ rotation
    made["model.norm.weight"] = np.ones(hidden)
    for layer in range(source.config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for norm, readers in READERS.items():
            for reader in readers:
                made[f"{prefix}{reader}.weight"] = (made[f"{prefix}{reader}.weight"] * made[f"{prefix}{norm}.weight"]) @ rotation
            made[f"{prefix}{norm}.weight"] = np.ones(hidden)
        for writer in WRITERS:
            made[f"{prefix}{writer}.weight"] = rotation.T @ made[f"{prefix}{writer}.weight"]
    source.config["tie_word_embeddings"] = False
    return {name: weights.astype(np.float32) for name, weights in made.items()}


TWINS: dict[str, Callable[[Source, int], dict[str, np.ndarray]]] = {"plain": plain, "dithered": dithered, "rotated": rotated}


def check_dither(source: Source, out: Path) -> str:
    made, worst, squares, count, touched = tensors.Checkpoint(out), 0.0, 0.0, 0, 0
    for name, weights, steps in source.tensors():
        if steps is None:
            if not np.array_equal(made[name], weights):
                raise SystemExit(f"{out}: expected {name} as it is in the GGUF file, but it differs")
            continue
        noise = (made[name].astype(np.float64) - weights) / np.where(steps > 0, steps, 1)
        worst = max(worst, float(np.abs(noise).max()))
        squares += float((noise[steps > 0] ** 2).sum())
        count += int((steps > 0).sum())
        touched += 1
    spread = (squares / count) ** 0.5 * 12**0.5
    # The sum in f32 may be off by half a unit in the last place of a weight, which is up to 15 steps and a minimum.
    if worst > 0.5 + 1e-4 or abs(spread - 1) > 1e-2:
        raise SystemExit(f"{out}: expected noise of at most 0.5 steps and 1/√12 of a step in the mean, but got {worst:.5f} "
                         f"steps, and {spread:.4f} times 1/√12")
    return f"{touched} tensors, noise of at most {worst:.6f} steps, its mean square {spread:.4f}² times a twelfth"


def check_plain(source: Source, out: Path) -> str:
    made, count = tensors.Checkpoint(out), 0
    for name, weights, _ in source.tensors():
        if not np.array_equal(made[name], weights):
            raise SystemExit(f"{out}: expected {name} as it is in the GGUF file, but it differs")
        count += 1
    if count != len(made):
        raise SystemExit(f"{out}: expected {count} tensors, but got {len(made)}")
    return f"{count} tensors, all of them those of the file"


def check_rotation(source: Source, out: Path, reference: Path) -> str:
    prompt = np.random.default_rng(0).integers(0, source.config["vocab_size"], PROMPT)
    distance = float(np.abs(llama.logits(out, prompt) - llama.logits(reference, prompt)).max())
    if not distance <= LOGIT_TOLERANCE:
        raise SystemExit(f"{out}: expected logits within {LOGIT_TOLERANCE} of those of {reference}, but got {distance:.3g}")
    return f"logits of {PROMPT} tokens within {distance:.2g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--twin", choices=TWINS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--as-gguf", type=Path, help="also write it as a GGUF file")
    parser.add_argument("--check", action="store_true", help="write nothing; check what is in OUT")
    parser.add_argument("--plain", type=Path, help="the plain model's directory, for the check of the rotated twin")
    options = parser.parse_args()
    if options.check and options.twin == "rotated" and options.plain is None:
        parser.error("--check of the rotated twin needs --plain")
    source = Source(options.gguf)
    if options.check:
        said = {"plain": lambda: check_plain(source, options.out), "dithered": lambda: check_dither(source, options.out),
                "rotated": lambda: check_rotation(source, options.out, options.plain)}[options.twin]()
        print(f"{options.out}: {said}")
        return 0
    made = TWINS[options.twin](source, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    tensors.write(options.out / "model.safetensors", made, {"format": "pt"})
    (options.out / "config.json").write_text(json.dumps(source.config, indent=2) + "\n", encoding="utf-8")
    if options.as_gguf:
        source.write_gguf(made, options.as_gguf)
    return 0


if __name__ == "__main__":
    sys.exit(main())
