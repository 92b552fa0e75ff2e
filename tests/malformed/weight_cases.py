"""Weights and overlays that a sound IR file names: quantize, compile, export, inspect, run."""
import struct

from check import Case, base, bytes_of, edited, fixture, gguf_of, raw, safetensors_of

QUANTIZE = "qopt quantize {in}/model.mlir --scheme w4a8:g32 -o {out}/q.mlir"
COMPILE = "qopt compile {in}/q.mlir --target generic -o {out}/q.qopt"
EXPORT = "qopt export {in}/q.mlir --to hf -o {out}/hf"
UP = "model.layers.1.mlp.up_proj.weight"


def put(value):
    """The tied model whose up projection has `value` in row 3, column 5, and its IR."""
    return model(safetensors_of("llama-tied/model.safetensors", lambda file: file.put(UP, 3 * 64 + 5, value)))


def model(make):
    return {"llama-tied": fixture("llama-tied"), "llama-tied/model.safetensors": make, "model.mlir": base("model.mlir")}


def overlay(make):
    return {"llama-tied": fixture("llama-tied"), "q.mlir": base("q.mlir"), "q.safetensors": make}


def half_scale(file):
    """A scale of infinity in the first block of GGUF's gate projection (Q4_1: two halves, then 16 bytes)."""
    start = file.tensor("blk.1.ffn_gate.weight")[3]
    file.data[start:start + 2] = struct.pack("<e", float("inf"))


def as_three_bits(data):
    """IR over 4-bit codes, saying that they have 3."""
    for four, three in ((b"xi4>", b"xi3>"), (b"packed_u4", b"packed_u3"), (b"bits = 4", b"bits = 3")):
        data = data.replace(four, three)
    return data


def swap_names(file):
    """Two tensors of the overlay under each other's names: the header's length stays as it is."""
    header = file.header
    a, b = (f"model.layers.{layer}.mlp.up_proj.weight.codes" for layer in (0, 1))
    header[a], header[b] = header[b], header[a]


def cases():

    return [
        Case("a weight that is not a number", put(float("nan")), QUANTIZE, 2, "expected finite weights, but got nan",
             f"parameter @{UP}: row 3, column 5"),
        Case("an infinite weight", put(float("inf")), QUANTIZE, 2, "expected finite weights, but got inf",
             f"parameter @{UP}: row 3, column 5"),
        Case("a weight of negative infinity", put(float("-inf")), QUANTIZE, 2, "expected finite weights, but got -inf",
             "row 3, column 5"),
        Case("an infinite scale in GGUF", {"llama-tiny.gguf": gguf_of("llama-tiny.gguf", half_scale),
             "model.mlir": base("gguf.mlir")}, QUANTIZE, 2, "expected finite weights, but got (inf|nan|-nan)",
             r"parameter @model\.layers\.1\.mlp\.gate_proj\.weight: row 0, column 0"),
        Case("weights too large for their scales", put(3e38), QUANTIZE, 2, "expected a scale that f16 can hold, but the weights range from .* to 3e.38", f"parameter @{UP}: row 3"),
        Case("weights of another size", model(bytes_of("llama-tied/model.safetensors", lambda data: bytes(data[:-4]))),
             QUANTIZE, 2, r"goes past the end of the file|expected a size of", r"llama-tied/model\.safetensors"),
        Case("weights with another header", model(bytes_of("llama-tied/model.safetensors", lambda data: data.replace(
            b'"format":"pt"', b'"format":"tp"'))), QUANTIZE, 2, "expected a header with digest sha256:.*, as the IR says, but got sha256:", r"model\.safetensors"),
        Case("weights that are gone", {"model.mlir": base("model.mlir")}, QUANTIZE, 2, "cannot read the file: No such file",
             r"llama-tied/model\.safetensors"),
        Case("an IR file that is cut", {"model.mlir": bytes_of("model.mlir", lambda data: bytes(data[:5000])),
             "llama-tied": fixture("llama-tied")}, "qopt inspect {in}/model.mlir", 2, "the file is not IR that can be read: .",
             r"model\.mlir\":[0-9]+:[0-9]+"),
        Case("an IR file of nothing", {"model.mlir": raw(b"\0" * 1000)}, QUANTIZE, 2,
             "expected a function @forward with a body", r"model\.mlir", "start from a module that 'qopt import' wrote"),
        Case("no IR file", {}, QUANTIZE, 2, "cannot read the file: No such file", r"model\.mlir",
             "name an IR file, as 'qopt import' writes it"),
        Case("a checkpoint in place of IR", {"model.mlir": fixture("llama-tiny.gguf")}, QUANTIZE, 2,
             "the file is not IR that can be read", r"model\.mlir", "'qopt import' makes IR from a checkpoint"),
        Case("an overlay that is gone", {"llama-tied": fixture("llama-tied"), "q.mlir": base("q.mlir")}, COMPILE, 2,
             "cannot read the file: No such file", r"q\.safetensors"),
        Case("an overlay that is cut", overlay(bytes_of("q.safetensors", lambda data: bytes(data[:-100]))), COMPILE, 2,
             "goes past the end of the file", r"q\.safetensors"),
        Case("an overlay of other weights", overlay(safetensors_of("q.safetensors", swap_names)), COMPILE, 2,
             "expected a header with digest", r"q\.safetensors"),
        Case("an overlay of other weights, exported", overlay(safetensors_of("q.safetensors", swap_names)), EXPORT, 2,
             "expected a header with digest", r"q\.safetensors"),
        Case("an overlay of codes of another width", {"llama-tied": fixture("llama-tied"), "q.safetensors": base(
            "q.safetensors"), "q.mlir": bytes_of("q.mlir", as_three_bits)}, EXPORT, 2,
            r"expected elements packed_u3 x \d+ x \d+, but got u8 \[", r"q\.safetensors: tensor"),
        Case("an overlay whose ledger is broken", overlay(safetensors_of("q.safetensors", lambda file: file.header[
            "__metadata__"].update({"qopt.ledger": "{}"}))), "qopt inspect {in}/q.safetensors --ledger", 2, "ledger",
            r"q\.safetensors"),
        Case("an overlay that is empty", overlay(raw("")), "qopt inspect {in}/q.safetensors", 2,
             "expected a file with contents, but got an empty one",
             r"q\.safetensors"),
    ]
