"""Half-quadratic quantization by its formulas, in f64: oracle.py CHECKPOINT OVERLAY BETA PARAMETER…

Recomputes the 4-bit codes of parameters, in groups of 32 with f16 scales and the settings of hqq.yaml but BETA, and fails unless 99.9% of
them are those of the overlay.
"""
import json
import sys

import numpy as np

GROUP, LAST, ITERATIONS, P, KAPPA = 32, 15, 20, 0.7, 1.01
LEAST_EQUAL = 0.999  # codes at a tie in f64 may be on its other side in f32


def tensors(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    types = {"F32": np.float32, "F16": np.float16, "U8": np.uint8}
    result = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, end = entry["data_offsets"]
            result[name] = np.frombuffer(data[start + first:start + end], types[entry["dtype"]]).reshape(entry["shape"])
    return result


def encode(w, s, z):
    return np.clip(np.rint(w / s + z), 0, LAST)


def quantize(w, beta):
    """w : [groups, group] → codes of the same shape."""
    low, high = np.minimum(w.min(1, keepdims=True), 0), np.maximum(w.max(1, keepdims=True), 0)
    s = ((high - low) / LAST).astype(np.float16).astype(np.float64)
    z = best = -low / s
    least = np.full_like(s, np.inf)
    for _ in range(ITERATIONS):
        u = encode(w, s, z)
        x = w - s * (u - z)
        magnitude = np.abs(x)
        error = (magnitude ** P).sum(1, keepdims=True)
        with np.errstate(divide="ignore"):
            e = np.sign(x) * np.maximum(0, magnitude - magnitude ** (P - 1) / beta)
        falls = error < least
        least, best = np.where(falls, error, -np.inf), np.where(falls, z, best)  # -inf: this group has ended
        z = (u - (w - e) / s).mean(1, keepdims=True)
        beta *= KAPPA
    return encode(w, s, np.clip(np.rint(best), 0, LAST))


def main():
    checkpoint, overlay = tensors(sys.argv[1]), tensors(sys.argv[2])
    for name in sys.argv[4:]:
        w = checkpoint[name].astype(np.float64)
        packed = overlay[name + ".codes"]
        got = np.stack([packed & 15, packed >> 4], axis=-1).reshape(w.shape)
        equal = (quantize(w.reshape(-1, GROUP), float(sys.argv[3])).reshape(w.shape) == got).mean()
        print(f"{name}: {equal:.4%} of {w.size} codes are equal")
        if equal < LEAST_EQUAL:
            sys.exit(f"expected at least {LEAST_EQUAL:.1%}")


main()
