"""Weights, overlays that a sound IR file names, and statistics: quantize, compile, export, inspect, run."""
import json
import struct

from check import Case, base, bytes_of, edited, fixture, gguf_of, raw, safetensors_of

QUANTIZE = "qopt quantize {in}/model.mlir --scheme w4a8:g32 -o {out}/q.mlir"
COMPILE = "qopt compile {in}/q.mlir --target generic -o {out}/q.qopt"
EXPORT = "qopt export {in}/q.mlir --to hf -o {out}/hf"
GPTQ = "qopt quantize {in}/model.mlir --scheme w4a16:g32 --method gptq --statistics {in}/stats -o {out}/q.mlir"
UP = "model.layers.1.mlp.up_proj.weight"


def put(value):
    """The tied model whose up projection has `value` in row 3, column 5, and its IR."""
    return model(safetensors_of("llama-tied/model.safetensors", lambda file: file.put(UP, 3 * 64 + 5, value)))


def model(make):
    return {"llama-tied": fixture("llama-tied"), "llama-tied/model.safetensors": make, "model.mlir": base("model.mlir")}


def overlay(make):
    return {"llama-tied": fixture("llama-tied"), "q.mlir": base("q.mlir"), "q.safetensors": make}


def described(edit):
    """Statistics whose description is what `edit` makes of it: of the JSON object, or text in its place."""

    def change(file):
        metadata = file.header["__metadata__"]
        said = json.loads(metadata["qopt.statistics"])
        result = edit(said)
        text = result if isinstance(result, str) else json.dumps(said, separators=(",", ":"))
        metadata["qopt.statistics"] = text

    return change


def statistics(name, edit, rule, where, next=".+", command=GPTQ):
    """A case of statistics that `edit` breaks."""
    return Case(name, {"llama-tied": fixture("llama-tied"), "model.mlir": base("model.mlir"), "stats": safetensors_of("stats", edit)},
                command, 2, rule, where, next)


def rename_held_out(file):
    file.header["heldout.other"] = file.header.pop("heldout.tokens")


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
             "expected an IR file, but got a file of no known kind", r"model\.mlir", "name an IR file, as 'qopt import' writes it"),
        Case("no IR file", {}, QUANTIZE, 2, "cannot read the file: No such file", r"model\.mlir",
             "check the path"),
        Case("a checkpoint in place of IR", {"model.mlir": fixture("llama-tiny.gguf")}, QUANTIZE, 2,
             "expected an IR file, but got a GGUF file", r"model\.mlir", "make IR of it: qopt import SOURCE"),
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
        statistics("statistics of the first version", described(lambda said: said.update(version=1)),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics", "make them again with this version"),
        statistics("statistics without a model", described(lambda said: said.update(key={"samples": 16})),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics"),
        statistics("statistics whose version is a number", described(lambda said: said["key"].update(qopt=5)),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics"),
        statistics("statistics of no samples", described(lambda said: said["samples"].update(count=0)),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics"),
        statistics("statistics whose sites are a number", described(lambda said: said.update(sites=7)),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics"),
        statistics("statistics with a site without channels", described(lambda said: said.update(
            sites=[{"name": "x", "channels": 0, "gram": False, "histogram": False, "parameters": []}])),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics"),
        statistics("statistics with a source that has no name", described(lambda said: said.update(sources=[{}])),
                   "expected statistics of version 2, but got another form", r"stats: qopt\.statistics"),
        statistics("statistics that are no JSON", described(lambda said: "{"), "not valid JSON", r"stats: qopt\.statistics", None),
        statistics("statistics with fewer samples than they say", described(lambda said: said["samples"].update(count=17)),
                   "expected a tensor as the statistics' description has it, but got another", r'tensor "samples\.tokens"', "calibrate again"),
        statistics("statistics whose samples are of another type", lambda file: file.header["samples.tokens"].update(dtype="F32"),
                   "expected a tensor as the statistics' description has it, but got another", r'tensor "samples\.tokens"', "calibrate again"),
        statistics("statistics without held-out windows", rename_held_out, "heldout.tokens", "stats"),
        statistics("statistics with a site that is not there", described(lambda said: said.update(
            sites=[{"name": "x", "channels": 64, "gram": False, "histogram": False, "parameters": ["x"]}])),
                   "x\\.greatest", "stats"),
        statistics("statistics of another model", described(lambda said: said["key"].update(model="sha256:" + "0" * 64)),
                   "expected statistics of this model, sha256:[0-9a-f]{64}, but got those of sha256:0{64}", "stats",
                   "calibrate this model, or quantize the one that was calibrated"),
        statistics("statistics of a part of the samples", described(lambda said: said["key"].update(samples=32)),
                   "expected statistics of all 32 samples, but got those of 16", "stats", "join them with the other shards"),
        Case("weights in place of statistics", {"llama-tied": fixture("llama-tied"), "model.mlir": base("model.mlir"),
             "stats": fixture("llama-tied/model.safetensors")}, GPTQ, 2, "expected statistics, but the file has none", "stats",
             "make them with 'qopt calibrate"),
        Case("statistics that are cut", {"llama-tied": fixture("llama-tied"), "model.mlir": base("model.mlir"),
             "stats": bytes_of("stats", lambda data: bytes(data[:-4]))}, GPTQ, 2, "goes past the end of the file", "stats"),
        Case("one shard to merge", {"stats": base("stats")}, "qopt stats merge {in}/stats -o {out}/all", 1,
             "expected at least two archives of statistics to merge"),
    ]
