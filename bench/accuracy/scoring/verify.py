"""Whether what a peer left is a quantization of the model that it was given, and of nothing more than it was told.

A peer that kept a weight, rounded it to other bits, rescaled what it should not or stored a file that reads differently
would be scored too high or too low; each of these is an error here, before anything is scored.
"""

from dataclasses import dataclass, field
from typing import Mapping

import numpy as np

from .tensors import bf16
from .unpack import Linear

# Greatest ‖W − Ŵ‖ / ‖W‖ of a linear by bits. Round to nearest in groups of 64 has about 0.10 and 0.24; feedback of errors
# adds to a weight's error what it takes from the output's, up to three times. Weights that were unpacked in a wrong order are
# at √2.
GREATEST_DISTANCE = {3: 0.8, 4: 0.5, 8: 0.1}
LEAST_DISTANCE = 1e-5  # nearer than this is not quantized at all
# How far the product of a row's factor and of the column's that undoes it may be from 1: both come from rounded weights.
PAIR_TOLERANCE = 0.1
NORM_READERS = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj")}


class Unfaithful(Exception):
    """A peer's output that is not what it is held for."""


@dataclass
class Verified:
    """What was seen on the way, for the result's file."""

    linears: int = 0
    greatest_distance: float = 0.0
    greatest_levels: int = 0
    bits_per_weight: float = 0.0
    rescaled_norms: int = 0
    untouched: list[str] = field(default_factory=list)


def most_levels(weights: np.ndarray, groups: np.ndarray) -> int:
    """The most distinct values that one output's weights of one group take."""
    most = 0
    for group in np.unique(groups):
        ordered = np.sort(weights[:, groups == group], axis=1)
        most = max(most, int((np.diff(ordered, axis=1) != 0).sum(1).max()) + 1)
    return most


def distance(weights: np.ndarray, original: np.ndarray) -> float:
    return float(np.linalg.norm(weights - original) / np.linalg.norm(original))


def _factors(weights: np.ndarray, original: np.ndarray, axis: int) -> np.ndarray:
    """What each row (axis 1) or column (axis 0) was multiplied by, by least squares."""
    squares = (original.astype(np.float64) ** 2).sum(axis)
    products = (original.astype(np.float64) * weights).sum(axis)
    return np.where(squares > 0, products / np.where(squares > 0, squares, 1), 1)


def scaled(made: Mapping[str, np.ndarray], original: Mapping[str, np.ndarray], layer: int, head_dim: int) -> dict[str, np.ndarray]:
    """What a layer's weights were before they were rounded, where AWQ or SmoothQuant had scaled channels: norms tell their factors
    exactly; those from up to down and from v to o are estimated on both sides, and must cancel each other. It is the original
    that is scaled: what was made coarse by a small factor would look far off if it were undone."""
    prefix = f"model.layers.{layer}."
    before = {}
    for norm, readers in NORM_READERS.items():
        name = f"{prefix}{norm}.weight"
        factors = original[name].astype(np.float64) / made[name]  # the readers' columns were multiplied by these
        if not np.isfinite(factors).all() or (factors <= 0).any():
            raise Unfaithful(f"{name}: expected the original's channels times positive factors, but got {factors.min():g} to "
                             f"{factors.max():g}")
        for reader in readers:
            before[f"{prefix}{reader}.weight"] = original[f"{prefix}{reader}.weight"] * factors
    for writer, reader in (("mlp.up_proj", "mlp.down_proj"), ("self_attn.v_proj", "self_attn.o_proj")):
        above, below = f"{prefix}{writer}.weight", f"{prefix}{reader}.weight"
        rows = _factors(made[above], before[above], 1)
        columns = _factors(made[below], original[below], 0)
        repeats = len(columns) // len(rows)  # query heads that share a value head
        expanded = rows if repeats == 1 else np.repeat(rows.reshape(-1, head_dim), repeats, axis=0).reshape(-1)
        off = np.abs(expanded * columns - 1)
        if np.median(off) > PAIR_TOLERANCE:
            raise Unfaithful(f"{above}, {below}: expected factors that cancel, but their products are off 1 by {np.median(off):.3f}")
        before[above] = before[above] * rows[:, None]
        before[below] = original[below] * columns
    return before


def model(linears: Mapping[str, Linear], rest: Mapping[str, np.ndarray], kinds: Mapping[str, str],
          original: Mapping[str, np.ndarray], *, bits: int, rescaled: bool,
          head_dim: int) -> tuple[dict[str, np.ndarray], Verified]:
    """Plain weights by name and what was seen. `linears` and `rest` are what a peer stored, by weight name, `kinds` the stored
    type of each of `rest`; `rescaled` says whether it may scale channels, which query heads of
    `head_dim` that share a value head then share."""
    seen, made = Verified(), {}
    expected = {name for name in original if name.endswith("_proj.weight")}
    if set(linears) != expected:
        odd = sorted(set(linears) ^ expected)
        raise Unfaithful(f"expected {len(expected)} quantized linears, but got {len(linears)}; of one side only: {odd[:4]}")
    for name, linear in linears.items():
        made[name] = linear.weights()
        if made[name].shape != original[name].shape or not np.isfinite(made[name]).all():
            raise Unfaithful(f"{name}: expected finite weights {list(original[name].shape)}, but got {list(made[name].shape)}")
        levels = most_levels(made[name], linear.groups)
        if linear.bits != bits or levels > 1 << bits:
            raise Unfaithful(f"{name}: expected at most {1 << bits} levels in a group, but got {levels}, in {linear.bits} bits")
        seen.greatest_levels = max(seen.greatest_levels, levels)
    seen.linears = len(linears)
    total = sum(linear.codes.size for linear in linears.values())
    seen.bits_per_weight = sum(linear.bits_per_weight() * linear.codes.size for linear in linears.values()) / total

    _beside(made, rest, kinds, original, seen, rescaled)
    for layer in range(_layers(original)):
        before = scaled(made, original, layer, head_dim) if rescaled else original
        for name in expected:
            if name.startswith(f"model.layers.{layer}."):
                _near(name, made[name], before[name], GREATEST_DISTANCE[bits], seen)
    return made, seen


def blocks(made: Mapping[str, np.ndarray], original: Mapping[str, np.ndarray], levels: Mapping[str, tuple[int, int]]) -> Verified:
    """What model() sees, of weights that a format with blocks inside of blocks stands for: `levels` has for each linear how many
    weights share a scale, and how many values these may take."""
    seen = Verified(linears=len(levels))
    for name, (block, most) in levels.items():
        if made[name].shape != original[name].shape or not np.isfinite(made[name]).all():
            raise Unfaithful(f"{name}: expected finite weights {list(original[name].shape)}, but got {list(made[name].shape)}")
        got = most_levels(made[name], np.arange(made[name].shape[1]) // block)
        if got > most:
            raise Unfaithful(f"{name}: expected at most {most} levels in {block} weights, but got {got}")
        seen.greatest_levels = max(seen.greatest_levels, got)
        _near(name, made[name], original[name], GREATEST_DISTANCE[4], seen)
    rest = {name: weights for name, weights in made.items() if name not in levels}
    if set(levels) != {name for name in original if name.endswith("_proj.weight")}:
        raise Unfaithful(f"expected all linears quantized, but got {len(levels)} of them")
    _beside({}, rest, dict.fromkeys(rest, "F32"), original, seen, False)
    return seen


def _near(name: str, weights: np.ndarray, original: np.ndarray, greatest: float, seen: Verified) -> None:
    far = distance(weights, original)
    if not LEAST_DISTANCE < far < greatest:
        raise Unfaithful(f"{name}: expected a distance to the original between {LEAST_DISTANCE:g} and {greatest:g} of its norm, but "
                         f"got {far:.4g}")
    seen.greatest_distance = max(seen.greatest_distance, far)


def _beside(made: dict[str, np.ndarray], rest: Mapping[str, np.ndarray], kinds: Mapping[str, str], original: Mapping[str, np.ndarray],
            seen: Verified, rescaled: bool) -> None:
    """Takes what is beside the linears into `made`: as it was, or norms that were rescaled."""
    norms = {f"model.layers.{layer}.{norm}.weight" for layer in range(_layers(original)) for norm in NORM_READERS}
    for name in sorted(name for name in original if not name.endswith("_proj.weight")):
        if name not in rest:
            raise Unfaithful(f"expected {name} beside the linears, but it is missing")
        if np.array_equal(rest[name], stored_as(original[name], kinds[name])):
            seen.untouched.append(name)
        elif rescaled and name in norms and rest[name].shape == original[name].shape:
            seen.rescaled_norms += 1
        else:
            raise Unfaithful(f"{name}: expected it as it was, in {kinds[name]}, but it differs")
        made[name] = rest[name].astype(np.float32)
    if surplus := sorted(set(rest) - set(original)):
        head = surplus == ["lm_head.weight"] and np.array_equal(rest["lm_head.weight"], rest["model.embed_tokens.weight"])
        if not head:  # a tied head that was stored once more is the same weights
            raise Unfaithful(f"expected no tensors but the original's, but got {surplus[:4]}")


def stored_as(values: np.ndarray, kind: str) -> np.ndarray:
    """f32 values rounded to a stored type, as f32: peers that write bf16 round what they leave alone."""
    if kind == "BF16":
        return bf16(values)
    return values.astype(np.float16).astype(np.float32) if kind == "F16" else values


def _layers(original: Mapping[str, np.ndarray]) -> int:
    return 1 + max(int(name.split(".")[2]) for name in original if name.startswith("model.layers."))
