"""The files that the two sides run, made from one GGUF, and how many bits each spends on a weight."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from . import processes

# Our schemes, the peer's format that each is compared with, and what the peer's kernels do with activations.
# W4 g32 with f16 scales and Q4_0 both spend 4.5 bits on a weight, W8 g32 and Q8_0 both 8.5.
PAIRINGS = [
    # scheme, peer, probe field that bounds its prefill
    ("w4a8g32:g32", "q4_0", "int8_dot_gops"),
    ("w4a8:g32", "q4_0", "int8_dot_gops"),
    ("w4a8:g64", "q4_0", "int8_dot_gops"),
    ("w4a16:g32", "q4_0", "bf16_dot_gflops"),
    ("w4a16:g64", "q4_0", "bf16_dot_gflops"),
    ("w8a8:g32", "q8_0", "int8_dot_gops"),
    ("w8a8:channel", "q8_0", "int8_dot_gops"),
]
HEAD = "w8:g32"  # output head and embedding, as the peer's Q8_0


@dataclass
class Bits:
    """What a file spends. `bytes` is all that one decode step reads: every linear and the head, once."""

    body: float  # bits per weight of the linears of the layers, scales counted
    head: float  # of the embedding, which is the output head too where they are tied
    total: float
    bytes: int
    elements: int
    body_elements: int


def of_overlay(path):
    """Bits of our archive of quantized weights, from its ledger."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        rows = json.loads(json.loads(file.read(length))["__metadata__"]["qopt.ledger"])["rows"]
    return _bits((row["name"], row["elements"], row["bytes"]) for row in rows)


# Of the types that may stand in the peer's files: elements and bytes of a block. (ggml's number: format)
_GGML_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144), 13: (256, 176),
                14: (256, 210)}


def of_gguf(path):
    """Bits of a GGUF file, from its tensor list."""
    with open(path, "rb") as file:

        def number(form):
            return struct.unpack("<" + form, file.read(struct.calcsize(form)))[0]

        def text():
            return file.read(number("Q"))

        def skip(kind):
            if kind == 8:
                text()
            elif kind == 9:
                kind, count = number("I"), number("Q")
                for _ in range(count):
                    skip(kind)
            else:
                file.read({0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}[kind])

        if file.read(4) != b"GGUF" or number("I") != 3:
            raise ValueError(f"{path}: expected GGUF version 3")
        tensors, keys = number("Q"), number("Q")
        for _ in range(keys):
            text()
            skip(number("I"))
        rows = []
        for _ in range(tensors):
            name, elements = text().decode(), 1
            for _ in range(number("I")):
                elements *= number("Q")
            block, size = _GGML_BLOCKS[number("I")]
            number("Q")  # offset
            rows.append((name, elements, elements // block * size))
    return _bits(rows)


def _bits(rows):
    totals = {"head": [0, 0], "body": [0, 0], "rest": [0, 0]}
    for name, elements, size in rows:
        if "norm" in name or name.endswith(".bias"):
            part = "rest"
        elif name.startswith(("model.embed_tokens", "lm_head", "token_embd", "output.")):
            part = "head"
        else:
            part = "body"
        totals[part][0] += elements
        totals[part][1] += size
    sums = [sum(column) for column in zip(*totals.values())]
    return Bits(
        body=8 * totals["body"][1] / totals["body"][0],
        head=8 * totals["head"][1] / totals["head"][0],
        total=8 * sums[1] / sums[0],
        bytes=sums[1],
        elements=sums[0],
        body_elements=totals["body"][0],
    )


class Qopt:
    """Our compiler: from the GGUF to artifacts."""

    def __init__(self, compiler, source, work):
        self.compiler, self.source, self.work = compiler, source, Path(work)

    def imported(self):
        model = self.work / "model.mlir"
        processes.run([self.compiler, "import", self.source, "-o", model])
        return model

    def quantize(self, model, scheme):
        result = self.work / (scheme.replace(":", "-") + ".mlir")
        finished = processes.run([self.compiler, "quantize", model, "--scheme", scheme, "--head", HEAD, "-o", result])
        return result, finished

    def compile(self, quantized):
        artifact = quantized.with_suffix(".qopt")
        finished = processes.run([self.compiler, "compile", quantized, "--target", "native", "-o", artifact])
        return artifact, finished


class Llama:
    """The peer: from the GGUF to its own formats, with its own quantizer."""

    def __init__(self, driver, source, work):
        self.driver, self.source, self.work = driver, source, Path(work)

    def quantize(self, form, threads):
        result = self.work / f"peer-{form}.gguf"
        finished = processes.run([self.driver, "quantize", self.source, result, form, "--threads", threads])
        return result, finished
