#!/usr/bin/env python3
"""Makes tests/unit/Numerics/fixtures: what lib/Numerics must reproduce to the bit.

    decode_FORMAT.bin  u32 count of blocks; the blocks; their elements as f32 by the `gguf` package's dequantize
    rtn.bin            u32 rows, u32 cols, f32 weights [rows, cols], u32 count of schemes; for each scheme:
                       u32 length and text, codes [rows, cols] u8, scales [rows, groups] as stored,
                       zero points [rows, groups] u8 if asymmetric. By oracle/rtn.py.
    rtn_digests.txt    "scheme crc32(codes) crc32(scales) crc32(zero points)", of a larger tensor that the test
                       makes itself (generated_weights below, in integers)

Run from anywhere; needs numpy and gguf. The same versions give the same bytes; made with numpy 2.4.6, gguf 0.19.0.
"""

import itertools
import pathlib
import struct
import sys
import zlib

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/unit/Numerics/fixtures"
sys.path.insert(0, str(ROOT / "tools/dev/oracle"))
import rtn  # noqa: E402

# For each block format: block bytes, where its halves lie, blocks in the fixture.
BLOCKS = {
    "Q4_0": (18, [0], 40),
    "Q4_1": (20, [0, 2], 40),
    "Q5_0": (22, [0], 40),
    "Q5_1": (24, [0, 2], 40),
    "Q8_0": (34, [0], 40),
    "Q6_K": (210, [208], 16),
}
# Halves that a random draw hardly gives: zeros, the least and greatest subnormal, the least normal, the greatest, 1.
SPECIAL_HALVES = np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00], dtype=np.uint16)


def random_halves(rng, count):
    """Finite halves over all exponents."""
    halves = rng.integers(0, 0x7C00, count).astype(np.uint16) | (rng.integers(0, 2, count) << 15).astype(np.uint16)
    return halves


def decode_fixture(name, rng):
    size, half_offsets, count = BLOCKS[name]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in half_offsets:
        halves = random_halves(rng, count)
        halves[: len(SPECIAL_HALVES)] = rng.permutation(SPECIAL_HALVES)
        blocks[:, offset : offset + 2] = halves.view(np.uint8).reshape(count, 2)
    if name == "Q8_0":  # every code
        codes = np.arange(256, dtype=np.uint8).reshape(8, 32)
        blocks[8:16, 2:] = codes
    values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name]).astype(np.float32)
    assert np.isfinite(values).all()
    # Each code must have been seen: distinct values of a block with d = 1 (and m, if any, wherever) tell codes apart.
    check_all_codes(name, blocks)
    (OUT / f"decode_{name.lower()}.bin").write_bytes(
        struct.pack("<I", count) + blocks.tobytes() + np.ascontiguousarray(values).tobytes()
    )


def check_all_codes(name, blocks):
    """Decodes the same codes with d = 1, m = 0 (and scales 1) and counts the distinct values."""
    plain = blocks.copy()
    _, half_offsets, _ = BLOCKS[name]
    for offset, value in zip(half_offsets, (1.0, 0.0)):
        plain[:, offset : offset + 2] = np.frombuffer(np.float16(value).tobytes(), dtype=np.uint8)
    if name == "Q6_K":
        plain[:, 192:208] = 1
    values = gguf.quants.dequantize(plain, gguf.GGMLQuantizationType[name])
    wanted = {"Q4": 16, "Q5": 32, "Q8": 256, "Q6": 64}[name[:2]]
    assert len(np.unique(values)) == wanted, name


def all_schemes():
    for bits, group, symmetry, scale in itertools.product(
        (2, 3, 4, 5, 6, 8), ("g32", "g64", "g128", "g256", "channel"), ("sym", "asym"), ("f16", "bf16", "f32")
    ):
        if bits not in (4, 8) and group not in ("g32", "channel"):
            continue  # the same code as for 4 bits
        if bits in (5, 6) and scale != "f16":
            continue  # the same code as for 2 and 3 bits
        yield f"w{bits}a16:{group}:{symmetry}:{scale}"


def hard_weights(rng):
    """[7, 256]: each row is hard in its own way; no scale overflows f16."""
    f32 = np.float32
    w = np.zeros((7, 256), dtype=f32)
    w[0] = rng.normal(0, 0.02, 256)
    # Ties: steps of exactly n + 1/2 wherever the group's scale comes out as 2^-4 (4 bits) or 2^-10 (8 bits).
    w[1, :128] = (rng.integers(-8, 8, 128) + 0.5) * 2.0**-4
    w[1, 0:128:32] = 7.5 * 2.0**-4
    w[1, 128:] = (rng.integers(-128, 128, 128) + 0.5) * 2.0**-10
    w[1, 128:256:32] = 127.5 * 2.0**-10
    # Nothing, negative nothing, scales that round to 0 in f16, to subnormal f16, and to subnormal f32 and bf16.
    w[2, 32:64] = f32(-0.0)
    w[2, 64:96] = rng.normal(0, 1e-9, 32)
    w[2, 96:128] = rng.normal(0, 4e-7, 32)
    w[2, 128:160] = rng.integers(-800, 800, 32) * 2.0**-149
    w[2, 160:192] = rng.integers(-800000, 800000, 32) * 2.0**-149
    w[2, 192:224] = rng.normal(0, 1e-7, 32)
    # One sign only, a constant, one weight among zeros.
    w[3, :64] = rng.uniform(0.5, 1.0, 64)
    w[3, 64:128] = -rng.uniform(0.5, 1.0, 64)
    w[3, 128:160] = 0.37
    w[3, 160:192] = -0.37
    w[3, 200] = -3.0
    w[3, 240] = 5.0
    # Large, and outliers.
    w[4] = rng.uniform(-9e4, 9e4, 256)
    w[5] = rng.standard_t(2, 256) * 0.03
    # Ties again, of 2 and of 3 bits.
    w[6, :128] = (rng.integers(-2, 2, 128) + 0.5) * 2.0**-4
    w[6, 0:128:32] = 1.5 * 2.0**-4
    w[6, 128:] = (rng.integers(-4, 4, 128) + 0.5) * 2.0**-4
    w[6, 128:256:32] = 3.5 * 2.0**-4
    return w


def generated_weights(rows, cols):
    """Sums of four draws of a linear congruential generator, minus twice 2^20, times 2^-24: exact in f32."""
    draws = np.empty(rows * cols * 4, dtype=np.int64)
    value = 12345
    for i in range(draws.size):
        value = (value * 1664525 + 1013904223) & 0xFFFFFFFF
        draws[i] = value >> 12
    total = draws.reshape(-1, 4).sum(axis=1) - 2 * 2**20
    return (total.astype(np.float32) * np.float32(2.0**-24)).reshape(rows, cols)


def rtn_fixtures(rng):
    weights = hard_weights(rng)
    rows, cols = weights.shape
    schemes = list(all_schemes())
    parts = [struct.pack("<II", rows, cols), weights.tobytes(), struct.pack("<I", len(schemes))]
    lines = []
    large = generated_weights(24, 768)
    for text in schemes:
        scheme = rtn.parse_scheme(text)
        codes, scales, zeros = rtn.quantize(weights, scheme)
        parts += [struct.pack("<I", len(text)), text.encode(), codes.tobytes(), scales.tobytes()]
        parts += [] if zeros is None else [zeros.tobytes()]
        codes, scales, zeros = rtn.quantize(large, scheme)
        digests = [zlib.crc32(array.tobytes() if array is not None else b"") for array in (codes, scales, zeros)]
        lines.append(" ".join([text] + [f"{digest:08x}" for digest in digests]))
    (OUT / "rtn.bin").write_bytes(b"".join(parts))
    (OUT / "rtn_digests.txt").write_text("\n".join(lines) + "\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20260)
    for name in BLOCKS:
        decode_fixture(name, rng)
    rtn_fixtures(rng)
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{OUT}: {total} bytes")
    assert total < 250_000


if __name__ == "__main__":
    main()
