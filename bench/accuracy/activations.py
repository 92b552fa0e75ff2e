#!/usr/bin/env python3
"""KL divergence of a model whose linears read activations in 8 bits, as compressed-tensors defines it, from its reference.

    activations.py MODEL REFERENCE --windows TOKENS.npy --activations token|tensor [--scales JSON] --out JSON

`qopt eval` measures what qopt compiles, and a peer's rule for activations is not ours; so peers of W8A8 and W4A8 are run here,
by transformers in f32. MODEL has plain weights, already unpacked. Every input x of every linear of the layers becomes
s · clip(round(x / s), −128, 127): with `token` s = max|x| / 127.5 over the token's channels, with `tensor` the linear's own s
that the peer stored (--scales: name to number). The windows that --plain lists are measured without that as well, so that what is found
here can be held against what `qopt eval` says of the same weights (scoring/activations.py does, and refuses where they differ).
Needs torch and transformers; runs in a peer's environment and imports nothing of it.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import torch
import transformers

ROWS = 128  # of logits in f64 at a time
HALF_RANGE = 127.5  # half of what 8 bits span: compressed-tensors divides by it, and clips what that puts at 128

Rule = Callable[[torch.Tensor], torch.Tensor]


def load(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()


def rounded(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.clamp(torch.round(x / scale), -128, 127) * scale


def by_token(x: torch.Tensor) -> torch.Tensor:
    scale = x.abs().amax(-1, keepdim=True) / HALF_RANGE
    return rounded(x, torch.where(scale == 0, torch.finfo(scale.dtype).eps, scale))


@contextlib.contextmanager
def quantized(model: Any, rule: Callable[[str], Rule]) -> Iterator[int]:
    """Inputs of all linears but the head go through their rule while this lasts; gives how many there are."""
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            each = rule(name)
            hooks.append(module.register_forward_pre_hook(lambda _, inputs, each=each: (each(inputs[0]), *inputs[1:])))
    try:
        yield len(hooks)
    finally:
        for hook in hooks:
            hook.remove()


def compare(logits: torch.Tensor, reference: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """Means over a window's predictions. logits, reference : [predictions, vocabulary]."""
    sums = {"loss": 0.0, "reference_loss": 0.0, "kl_divergence": 0.0, "top1_agreement": 0.0}
    for rows in torch.arange(len(targets)).split(ROWS):
        ours, theirs = (torch.log_softmax(each[rows].double(), -1) for each in (logits, reference))
        wanted = targets[rows, None]
        sums["loss"] -= ours.gather(1, wanted).sum().item()
        sums["reference_loss"] -= theirs.gather(1, wanted).sum().item()
        sums["kl_divergence"] += (theirs.exp() * (theirs - ours)).sum().item()
        sums["top1_agreement"] += (ours.argmax(-1) == theirs.argmax(-1)).sum().item()
    return {name: value / len(targets) for name, value in sums.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--windows", type=Path, required=True, help="i32 [windows, tokens], .npy")
    parser.add_argument("--activations", choices=("token", "tensor"), required=True)
    parser.add_argument("--scales", type=Path, help="JSON, linear to scale, for tensor")
    parser.add_argument("--plain", type=lambda text: [int(index) for index in text.split(",")], required=True,
                        help="windows, by index, that are measured without quantized activations too")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if (options.activations == "tensor") != (options.scales is not None):
        parser.error("--scales goes with --activations tensor")
    scales = json.loads(options.scales.read_text(encoding="utf-8")) if options.scales else {}

    def rule(name: str) -> Rule:
        if options.activations == "token":
            return by_token
        scale = torch.tensor(scales[name])
        return lambda x: rounded(x, scale)

    model, reference = load(options.model), load(options.reference)
    made: dict[str, list[dict[str, float]]] = {"quantized": [], "plain": []}
    for index, window in enumerate(torch.from_numpy(np.load(options.windows).astype(np.int64))):
        with torch.inference_mode():
            def run(which: Any) -> torch.Tensor:
                return which(window[None], use_cache=False).logits[0, :-1]

            expected = run(reference)
            if index in options.plain:
                made["plain"].append(compare(run(model), expected, window[1:]))
            with quantized(model, rule) as linears:
                made["quantized"].append(compare(run(model), expected, window[1:]))
    options.out.write_text(json.dumps({"linears": linears, **made}) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
