"""Whether what a peer left is a quantization of the model that it was given, and of nothing more than it was told.

A peer that kept a weight, rounded it to other bits, rescaled what it should not or stored a file that reads differently
would be scored too high or too low; each of these is an error here, before anything is scored.
"""

from dataclasses import asdict, dataclass, field
from typing import Mapping

import numpy as np

from .settings import Row
from .tensors import bf16
from .unpack import Linear


@dataclass(frozen=True)
class Bounds:
    """The farthest that a linear may be from what it was rounded from. A factor is that of least squares through zero,
    ⟨Ŵ, W⟩ / ⟨W, W⟩."""

    distance: float  # ‖Ŵ − W‖ / ‖W‖. Weights that were unpacked in a wrong order are at √2
    slope: float  # |factor − 1| of all weights: scales, or a norm, that are off throughout
    output: float  # the greatest |factor − 1| of an output's weights: rows of zeros are at 1
    group: float  # of factor − 1 of each group of each output, the root mean square by the weights' squares: another group's scale
    input: float  # the greatest mean error of an input's weights towards zero or from it, in steps: a norm's channel that is off alone
    # The mean error of each group of each output, in steps, the root mean square: a zero point that is off by one moves all by a step.
    shift: float = 0.25


# By bits, and whether the peer feeds a weight's error on to others, as GPTQ does: that adds to a weight's error what it takes from the
# output's. Distances of real output are 0.57, 0.32, 0.13 and 0.03 in this order (results/). The rest is about twice of what GPTQ and
# rounding to nearest have on this model, or more, in a simulation and in real output of 8 bits: slopes 0.017, 0.012, 0.003, 0.0007; outputs
# 0.22, 0.26, 0.06, 0.01; groups 0.063, 0.043, 0.024, 0.0016, where the next group's scale gives 0.16 and more; inputs 0.2, 0.9, 0.17, 0.7;
# shifts 0.05, 0.08, 0.125, 0.02.
BOUNDS = {(3, True): Bounds(0.7, 0.04, 0.5, 0.13, 2), (4, True): Bounds(0.4, 0.03, 0.5, 0.1, 2),
          (4, False): Bounds(0.2, 0.03, 0.2, 0.1, 0.5), (8, True): Bounds(0.06, 0.01, 0.03, 0.02, 2)}
LEAST_DISTANCE = 1e-5  # nearer than this is not quantized at all
# How far the product of a row's factor and of the column's that undoes it may be from 1, in the median over channels: 0.008 of weights
# that were rounded to nearest.
PAIR_TOLERANCE = 0.03
NORM_READERS = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj")}
PAIRS = (("mlp.up_proj", "mlp.down_proj"), ("self_attn.v_proj", "self_attn.o_proj"))  # each of whose rows is a column of the other
MEASURES = {"distance": "a distance to the original, over its norm,", "slope": "the factor by least squares, less 1,",
            "output": "the factor of an output's weights, less 1,", "group": "factors of groups, less 1, in the root mean square",
            "input": "the mean error of an input's weights, in steps,",
            "shift": "the mean error of a group's weights, in steps, in the root mean square"}


class Unfaithful(Exception):
    """A peer's output that is not what it is held for."""


@dataclass
class Verified:
    """What was seen on the way, for the result's file; the greatest of a linear's measures each."""

    linears: int = 0
    greatest_distance: float = 0.0
    greatest_slope: float = 0.0
    greatest_output: float = 0.0
    greatest_group: float = 0.0
    greatest_input: float = 0.0
    greatest_shift: float = 0.0
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


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below; 1 where there is nothing to divide by."""
    return np.divide(above, below, out=np.ones_like(above), where=below > 0)


def measures(weights: np.ndarray, original: np.ndarray, steps: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """How far weights, [out, in], are from the original, by the names that Bounds has. `steps` : [out, in], of each weight's group;
    `groups` : [in], which one it is."""
    exact = original.astype(np.float64)
    error, products, squares = weights - exact, weights * exact, exact**2
    in_steps = np.divide(error, steps, out=np.zeros_like(error), where=steps > 0)
    member = (groups[:, None] == np.unique(groups)).astype(np.float64)  # [in, groups]
    energy = squares @ member  # [out, groups]
    of_groups = _ratio(products @ member, energy) - 1
    return {"distance": float(np.linalg.norm(error) / np.linalg.norm(exact)),
            "slope": float(abs(products.sum() / squares.sum() - 1)),
            "output": float(np.abs(_ratio(products.sum(1), squares.sum(1)) - 1).max()),
            "group": float(np.sqrt((energy * of_groups**2).sum() / energy.sum())),
            "shift": float(np.sqrt(((in_steps @ member / member.sum(0)) ** 2).mean())),
            "input": float(np.abs((in_steps * np.sign(exact)).mean(0)).max())}


def _factors(weights: np.ndarray, original: np.ndarray, axis: int) -> np.ndarray:
    """What each row (axis 1) or column (axis 0) was multiplied by, by least squares."""
    squares = (original.astype(np.float64) ** 2).sum(axis)
    products = (original.astype(np.float64) * weights).sum(axis)
    return np.where(squares > 0, products / np.where(squares > 0, squares, 1), 1)


def _pair(writer: str, reader: str, made: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray],
          head_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """What the writer's rows were multiplied by, and the reader's columns, of which query heads of `head_dim` that share a value head
    share theirs. The rows' are by least squares, and the columns' must undo them."""
    rows = _factors(made[writer], before[writer], 1)
    columns = _factors(made[reader], before[reader], 0)
    if not (rows > 0).all():
        raise Unfaithful(f"{writer}: expected the original's rows times positive factors, but got {rows.min():g} to {rows.max():g}")
    repeats = len(columns) // len(rows)  # query heads that share a value head
    expanded = rows if repeats == 1 else np.repeat(rows.reshape(-1, head_dim), repeats, axis=0).reshape(-1)
    off = float(np.median(np.abs(expanded * columns - 1)))
    if off > PAIR_TOLERANCE:
        raise Unfaithful(f"{writer}, {reader}: expected factors that cancel, but their products are off 1 by {off:.3f}, of which "
                         f"{PAIR_TOLERANCE:g} is allowed")
    return rows, 1 / expanded


def scaled(made: Mapping[str, np.ndarray], original: Mapping[str, np.ndarray], layer: int, head_dim: int, pairs: bool) -> dict[str, np.ndarray]:
    """What a layer's linears were before they were rounded, where AWQ or SmoothQuant had scaled channels: norms tell their factors
    exactly; those from up to down and from v to o, where `pairs` allows them, are estimated. It is the original that is scaled: what
    was made coarse by a small factor would look far off if it were undone."""
    prefix = f"model.layers.{layer}."
    before = {name: original[name] for name in original if name.startswith(prefix) and name.endswith("_proj.weight")}
    for norm, readers in NORM_READERS.items():
        name = f"{prefix}{norm}.weight"
        factors = original[name].astype(np.float64) / made[name]  # the readers' columns were multiplied by these
        if not np.isfinite(factors).all() or (factors <= 0).any():
            raise Unfaithful(f"{name}: expected the original's channels times positive factors, but got {factors.min():g} to "
                             f"{factors.max():g}")
        for reader in readers:
            before[f"{prefix}{reader}.weight"] = original[f"{prefix}{reader}.weight"] * factors
    for writer, reader in PAIRS if pairs else ():
        above, below = f"{prefix}{writer}.weight", f"{prefix}{reader}.weight"
        rows, columns = _pair(above, below, made, before, head_dim)
        before[above] = before[above] * rows[:, None]
        before[below] = original[below] * columns
    return before


def model(linears: Mapping[str, Linear], rest: Mapping[str, np.ndarray], kinds: Mapping[str, str], original: Mapping[str, np.ndarray],
          row: Row, head_dim: int) -> tuple[dict[str, np.ndarray], Verified]:
    """Plain weights by name and what was seen. `linears` and `rest` are what a peer stored, by weight name, `kinds` the stored type of
    each of `rest`; the row says the bits, how the peer rounds and what it may scale."""
    seen, made = Verified(), {}
    expected = {name for name in original if name.endswith("_proj.weight")}
    if set(linears) != expected:
        odd = sorted(set(linears) ^ expected)
        raise Unfaithful(f"expected {len(expected)} quantized linears, but got {len(linears)}; of one side only: {odd[:4]}")
    for name, linear in linears.items():
        made[name] = linear.weights()
        if linear.bits != row.bits:
            raise Unfaithful(f"{name}: expected codes of {row.bits} bits, but they are of {linear.bits}")
        _whole(name, made[name], original[name], linear.groups, 1 << row.bits, seen)
    seen.linears = len(linears)
    total = sum(linear.codes.size for linear in linears.values())
    seen.bits_per_weight = sum(linear.bits_per_weight() * linear.codes.size for linear in linears.values()) / total

    _beside(made, rest, kinds, original, seen, row.rescaled)
    for layer in range(_layers(original)):
        before = scaled(made, original, layer, head_dim, row.pairs) if row.rescaled else original
        for name in sorted(name for name in expected if name.startswith(f"model.layers.{layer}.")):
            linear = linears[name]
            _near(name, measures(made[name], before[name], linear.scales[:, linear.groups], linear.groups), BOUNDS[row.bits, row.feedback], seen)
    return made, seen


def nearest(levels: int) -> Bounds:
    """Of rounding to nearest values, which errs by the less the more of them there are."""
    of_16 = BOUNDS[4, False]
    return Bounds(**{name: bound * 16 / levels for name, bound in asdict(of_16).items()} | {"input": of_16.input, "shift": of_16.shift})


def blocks(made: Mapping[str, np.ndarray], original: Mapping[str, np.ndarray], levels: Mapping[str, tuple[int, int]]) -> Verified:
    """What model() sees, of weights that a format with blocks inside of blocks stands for: `levels` has for each linear how many
    weights share a scale, and how many values these may take. A block's step is at least its range over the values' gaps."""
    seen = Verified(linears=len(levels))
    for name, (block, most) in levels.items():
        groups = np.arange(made[name].shape[1]) // block
        _whole(name, made[name], original[name], groups, most, seen)
        ranges = np.ptp(made[name].reshape(len(made[name]), -1, block), axis=2) / (most - 1)
        _near(name, measures(made[name], original[name], ranges[:, groups], groups), nearest(most), seen)
    rest = {name: weights for name, weights in made.items() if name not in levels}
    if set(levels) != {name for name in original if name.endswith("_proj.weight")}:
        raise Unfaithful(f"expected all linears quantized, but got {len(levels)} of them")
    _beside({}, rest, dict.fromkeys(rest, "F32"), original, seen, False)
    return seen


def _whole(name: str, weights: np.ndarray, original: np.ndarray, groups: np.ndarray, most: int, seen: Verified) -> None:
    """Refuses weights of another shape, that are not finite, or that take more than `most` values in a group."""
    if weights.shape != original.shape or not np.isfinite(weights).all():
        raise Unfaithful(f"{name}: expected finite weights {list(original.shape)}, but got {list(weights.shape)}")
    levels = most_levels(weights, groups)
    if levels > most:
        raise Unfaithful(f"{name}: expected at most {most} levels in a group, but got {levels}")
    seen.greatest_levels = max(seen.greatest_levels, levels)


def _near(name: str, measured: Mapping[str, float], bounds: Bounds, seen: Verified) -> None:
    """Refuses a linear that is farther from what it was rounded from than its bounds, or that was not rounded."""
    for what, words in MEASURES.items():
        value, bound = measured[what], getattr(bounds, what)
        if not value < bound:
            raise Unfaithful(f"{name}: expected {words} below {bound:g}, but got {value:.4g}")
        setattr(seen, f"greatest_{what}", max(getattr(seen, f"greatest_{what}"), value))
    if not measured["distance"] > LEAST_DISTANCE:
        raise Unfaithful(f"{name}: expected a distance to the original above {LEAST_DISTANCE:g} of its norm, but got {measured['distance']:.4g}")


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
