"""What peers store, unpacked: codes, scales and zero points of a linear, and the weights that they stand for.

Written from the formats alone (GPTQ's and compressed-tensors' readers), not with them: an error of a peer's own reader, or
of ours of its files, shows where what was unpacked is compared with the original (verify.py).
"""

from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy as np

from .tensors import Read

SCALE_BITS = 16  # counted for each scale; one that a peer stores in f32 would lose nothing in 16, so it is not charged for more


class Malformed(Exception):
    """A file that is not what its format says: what was expected, what was there, and where."""


@dataclass(frozen=True)
class Linear:
    """codes : [out, in], scales and zeros : [out, groups]; the weight is scale · (code − zero), in f32."""

    codes: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray
    groups: np.ndarray  # [in]: which group an input is in
    bits: int
    stored_zeros: bool  # zero points take room in the file, and are counted

    def weights(self) -> np.ndarray:
        expanded = self.scales[:, self.groups] * (self.codes - self.zeros[:, self.groups])
        return expanded.astype(np.float32)

    def bits_per_weight(self) -> float:
        outputs, inputs = self.codes.shape
        zero_bits = self.bits if self.stored_zeros else 0
        return self.bits + self.scales.shape[1] * (SCALE_BITS + zero_bits) / inputs


def all_read(tensors: Read) -> None:
    """Refuses tensors that nobody has read: they mean something to the peer's own reader, a bias or another order of the inputs."""
    if unread := sorted(set(tensors) - tensors.names):
        raise Malformed(f"expected tensors that are all read, but {len(unread)} are not known here: {', '.join(unread[:4])}"
                        f"{', …' if len(unread) > 4 else ''}\nnext: say in scoring/unpack.py what they mean")


def input_scales(tensors: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, float]:
    """The scale of each linear's inputs where the peer has fixed one: `input_scale`, one number."""
    scales = {}
    for name in names:
        if f"{name}.input_scale" not in tensors:
            raise Malformed(f"{name}.input_scale: expected it, as the row has one scale for all activations of a linear, but it is missing")
        stored = tensors[f"{name}.input_scale"]
        if stored.size != 1 or not (np.isfinite(stored).all() and (stored > 0).all()):
            raise Malformed(f"{name}.input_scale: expected one positive number, but got {stored.reshape(-1)[:4].tolist()} in {list(stored.shape)}")
        scales[name] = float(stored.item())
    return scales


def stream(words: np.ndarray, bits: int, count: int) -> np.ndarray:
    """The first `count` unsigned numbers of `bits` bits of each row of words, [rows, words] i32: a stream without gaps, the
    least significant bit first. What is left of the last word has to be zero."""
    rows = words.shape[0]
    if words.ndim != 2 or words.shape[1] != -(-count * bits // 32):
        raise Malformed(f"expected {-(-count * bits // 32)} words for {count} numbers of {bits} bits, but got a tensor of "
                        f"{list(words.shape)}")
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(rows, -1)
    flat = np.unpackbits(octets, axis=1, bitorder="little")
    if flat[:, count * bits:].any():
        raise Malformed(f"expected zeros behind the last of {count} numbers of {bits} bits, but got others")
    places = (1 << np.arange(bits)).astype(np.int32)
    return flat[:, :count * bits].reshape(rows, count, bits).astype(np.int32) @ places


def gptq(tensors: Mapping[str, np.ndarray], name: str, bits: int, group: int | None, symmetric: bool) -> Linear:
    """GPTQ's first format: `qweight` [in·bits/32, out] along the inputs, `qzeros` [groups, out·bits/32] along the outputs, each
    a zero point less one; `scales` [groups, out]; `g_idx` [in]."""
    scales, order = tensors[f"{name}.scales"].astype(np.float32), tensors[f"{name}.g_idx"]
    groups, outputs = scales.shape
    inputs = len(order)
    group = group or inputs
    if groups * group != inputs or not np.array_equal(np.bincount(order, minlength=groups), np.full(groups, group)):
        raise Malformed(f"{name}.g_idx: expected {inputs / group:g} groups of {group} inputs, but got {groups} groups with "
                        f"{np.bincount(order).tolist()}")
    codes = stream(tensors[f"{name}.qweight"].T, bits, inputs)
    # Less one, in as many bits as a code has: a zero point of 0 is stored as the greatest code.
    zeros = (stream(tensors[f"{name}.qzeros"], bits, outputs) + 1) & ((1 << bits) - 1)
    if symmetric and not (zeros == 1 << (bits - 1)).all():
        raise Malformed(f"{name}.qzeros: expected {1 << (bits - 1)} throughout, as it is symmetric, but got "
                        f"{np.unique(zeros).tolist()}")
    return Linear(codes, scales.T, zeros.T, order, bits, stored_zeros=True)


def compressed(tensors: Mapping[str, np.ndarray], name: str, bits: int, group: int | None, symmetric: bool) -> Linear:
    """compressed-tensors: `weight_packed` [out, in·bits/32] along the inputs, or i8 `weight`; `weight_scale` [out, groups];
    `weight_zero_point`, packed along the outputs. Codes and zero points are signed, and stored with 2^(bits−1) added to
    them where they are packed. Without a group there is one scale an output."""
    scales = tensors[f"{name}.weight_scale"].astype(np.float32)
    outputs, groups = scales.shape
    middle = 1 << (bits - 1)
    if f"{name}.weight_packed" in tensors:
        shape = tensors[f"{name}.weight_shape"].tolist()
        if shape[0] != outputs:
            raise Malformed(f"{name}.weight_shape: expected {outputs} outputs, as there are scales, but got {shape[0]}")
        codes = stream(tensors[f"{name}.weight_packed"], bits, shape[1]) - middle
    else:
        stored = tensors[f"{name}.weight"]
        if stored.dtype != np.int8:
            raise Malformed(f"{name}.weight: expected i8 codes, but got {stored.dtype}")
        codes = stored.astype(np.int32)
    inputs = codes.shape[1]
    if groups * (group or inputs) != inputs:
        raise Malformed(f"{name}.weight_scale: expected {inputs / (group or inputs):g} scales an output, but got {groups}")
    if codes.min() < -middle or codes.max() >= middle:
        raise Malformed(f"{name}: expected codes from {-middle} to {middle - 1}, but got {codes.min()} to {codes.max()}")
    if symmetric:
        if f"{name}.weight_zero_point" in tensors:
            raise Malformed(f"{name}.weight_zero_point: expected none, as it is symmetric")
        zeros = np.zeros_like(scales, np.int32)
    else:
        zeros = stream(np.ascontiguousarray(tensors[f"{name}.weight_zero_point"].T), bits, outputs).T - middle
    order = np.arange(inputs) // (group or inputs)
    return Linear(codes, scales, zeros, order, bits, stored_zeros=not symmetric)
