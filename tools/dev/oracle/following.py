"""Hessians of a model while it is being quantized, in numpy and f64: those that GPTQ takes with `inputs: quantized`.

    H = Σ q(x)·q(x)ᵀ over the tokens of the statistics' samples, in the order of the model (q, k, v; o; gate, up; down)

x is what a linear reads when all linears before it multiply as their codes do; q is the form in which the scheme takes
activations (lib/Numerics/Activations.h). A linear's input depends on no linear after it, so one forward with all codes of the
overlay sees every x as it was when the linear's turn came. Used by gptq.py --follow.
"""
import re
import statistics

import numpy as np

import rtn


def activations_of(scheme):
    """The activations of a scheme's text: "8", "8g32", "16" or "32"."""
    kind = re.match(r"w\da(8g32|8t|8|16|32)(:|$)", scheme)
    if not kind:
        raise ValueError(f"no activations that can be followed: {scheme}")
    return kind.group(1).rstrip("t")


def rounded(x, kind):
    """x : [tokens, channels] as a linear takes it."""
    if kind == "32":
        return x
    if kind == "16":
        magnitude = rtn.bfloat16_values(rtn.bfloat16_bits(np.abs(x).astype(np.float32)))
        return np.copysign(magnitude.astype(np.float64), x)
    groups = x.reshape(len(x), -1, 32 if kind == "8g32" else x.shape[1])
    step = np.abs(groups).max(axis=2, keepdims=True) / 127
    return (step * np.clip(np.rint(groups / np.where(step > 0, step, 1)), -127, 127)).reshape(x.shape)


def hessians(checkpoint, samples, overlay, scheme, activations):
    """Parameter → H : [inputs, inputs], of the linears that the overlay has codes for. samples : [samples, length]."""
    names = [name.removesuffix(".codes") for name in overlay.entries if name.endswith("_proj.weight.codes")]
    weights = {name: rtn.values(*rtn.stored_codes(overlay, name, scheme), scheme) for name in names}
    model = statistics.Model(checkpoint)
    found = {}

    def linear(name, x):
        if name not in weights:
            return x @ model.weight(name).T
        x = rounded(x, activations)
        found[name] = found.get(name, 0) + x.T @ x
        return x @ weights[name].T

    for tokens in samples:
        model.run(tokens, linear)
    return found
