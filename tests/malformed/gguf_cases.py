"""GGUF files: header, metadata, tensor descriptions, data."""
import struct

from check import Case, bytes_of, gguf_of
from formats import ARRAY, FLOAT32, STRING, UINT32, UINT64, Gguf, text

IMPORT = "qopt import {in}/model.gguf -o {out}/model.mlir"
UP, DOWN = "blk.0.ffn_up.weight", "blk.0.ffn_down.weight"
DOWNLOAD = "download or convert the file again"
PLACE = r"model\.gguf"


def gguf(edit):
    return {"model.gguf": gguf_of("llama-tiny.gguf", edit)}


def cut(end):
    """The file up to a byte: a number, or a function of the file."""
    return {"model.gguf": bytes_of("llama-tiny.gguf", lambda data: bytes(
        data[:end(data, Gguf(bytes(data))) if callable(end) else end]))}


def find(what, after=0):
    return lambda data, file: data.find(what) + after


def number(value):
    return struct.pack("<I", value)


def claim(key, kind, value):
    return gguf(lambda f: f.set(key, kind, value))


def offset(name, change):
    def edit(file):
        file.tensor(name)[3] = change(file.tensor(name)[3])

    return gguf(edit)


def field(name, index, value):
    def edit(file):
        file.tensor(name)[index] = value

    return gguf(edit)


def truncated_cases():
    return [
        Case("cut inside the magic", cut(3), IMPORT, 2, "too short for a safetensors or GGUF file: 3 bytes",
             PLACE + ": byte 0", DOWNLOAD),
        Case("cut inside the version", cut(6), IMPORT, 2, "the file ends inside the version", PLACE + ": byte 4", DOWNLOAD),
        Case("cut inside the counts", cut(20), IMPORT, 2, "the file ends inside the metadata count", PLACE + ": byte 16",
             DOWNLOAD),
        Case("cut inside a key", cut(find(b"llama.block_count", 3)), IMPORT, 2, "the file claims 19 metadata pairs, but the 98 bytes left hold at most 7",
             PLACE,
             DOWNLOAD),
        Case("cut inside a value", cut(find(b"tokenizer.ggml.tokens", 60)), IMPORT, 2, "bytes left hold at most",
             "'tokenizer.ggml.tokens'", DOWNLOAD),
        Case("cut inside the tensor descriptions", cut(lambda data, file: file.header_bytes - 10), IMPORT, 2,
             "the file ends inside a tensor's", "tensor description", DOWNLOAD),
        Case("cut before the data", cut(lambda data, file: file.header_bytes), IMPORT, 2,
             "the file ends before its data section|goes past the end of the file", PLACE, DOWNLOAD),
        Case("cut inside the data of a GGUF file", cut(lambda data, file: len(data) - 100), IMPORT, 2,
             "goes past the end of the file", PLACE + ": tensor '", DOWNLOAD),
    ]


def header_cases():
    return [
        Case("another magic", gguf(lambda f: setattr(f, "magic", b"GGML")), IMPORT, 2,
             "neither a safetensors nor a GGUF file|expected a safetensors or GGUF file", PLACE + ": byte 0"),
        Case("a swapped magic", gguf(lambda f: setattr(f, "magic", b"FUGG")), IMPORT, 2, "a byte-swapped GGUF file", PLACE,
             "little-endian"),
        Case("version 2", gguf(lambda f: setattr(f, "version", 2)), IMPORT, 2, "GGUF version 2; only version 3 is read",
             PLACE, "convert the model again"),
        Case("a big-endian version", gguf(lambda f: setattr(f, "version", 3 << 24)), IMPORT, 2, "a big-endian GGUF file",
             PLACE, "little-endian"),
        Case("an absurd tensor count", gguf(lambda f: setattr(f, "claimed_tensors", 2**63)), IMPORT, 2,
             "the file claims 9223372036854775808 tensors, but the .* bytes left hold at most", PLACE),
        Case("an absurd metadata count", gguf(lambda f: setattr(f, "claimed_pairs", 2**64 - 1)), IMPORT, 2,
             "the file claims 18446744073709551615 metadata pairs", PLACE),
        Case("a metadata count too large by one", gguf(lambda f: setattr(f, "claimed_pairs", len(f.pairs) + 1)), IMPORT, 2, ".",
             PLACE),
        Case("a key of GGUF given twice", gguf(lambda f: f.pairs.append(f.pairs[1])), IMPORT, 2,
             "the metadata key '.*' is given twice", PLACE + ": metadata"),
        Case("a value of an unknown type", gguf(lambda f: f.pairs.insert(0, ["x", 99, b""])), IMPORT, 2,
             "unknown metadata value type 99", r"metadata pair 0 \('x'\)"),
        Case("a string of absurd length", claim("general.name", STRING, struct.pack("<Q", 2**63)), IMPORT, 2,
             "the file ends inside a metadata value, which takes 9223372036854775808 bytes", "'general.name'"),
        Case("an array of absurd length", claim("general.tags", ARRAY, struct.pack("<IQ", UINT64, 2**62)), IMPORT, 2,
             "the file claims 4611686018427387904 elements in an array", "'general.tags'"),
        Case("an array of arrays", claim("general.tags", ARRAY, struct.pack("<IQIQ", ARRAY, 1, ARRAY, 0)), IMPORT, 2,
             "an array of arrays, which is not read", "'general.tags'"),
        Case("a boolean of 2", claim("general.flag", 7, b"\2"), IMPORT, 2, "expected a boolean to be 0 or 1, but got 2",
             "'general.flag'"),
        Case("a key that is not UTF-8", gguf(lambda f: f.pairs.insert(0, [b"\xff", UINT32, number(1)])), IMPORT, 2,
             r"a metadata key '\\xFF' is not UTF-8", PLACE),
        Case("an alignment of 3", claim("general.alignment", UINT32, number(3)), IMPORT, 2,
             "expected the metadata key 'general.alignment' to be a power of two, but got 3", PLACE),
        Case("an alignment of 0", claim("general.alignment", UINT32, number(0)), IMPORT, 2, "a power of two, but got 0", PLACE),
        Case("an alignment larger than the file", claim("general.alignment", UINT32, number(1 << 31)), IMPORT, 2,
             "the file ends before its data section", PLACE),
    ]


def model_cases():
    return [
        Case("another architecture in GGUF", claim("general.architecture", STRING, text("falcon")), IMPORT, 2,
             '"?falcon', PLACE, "llama"),
        Case("no architecture", gguf(lambda f: f.drop("general.architecture")), IMPORT, 2, "general.architecture", PLACE),
        Case("an unknown key of the model", claim("llama.attention.softcap", FLOAT32, struct.pack("<f", 30)), IMPORT, 2,
             'field "llama.attention.softcap" is not implemented', PLACE),
        Case("experts", claim("llama.expert_count", UINT32, number(8)), IMPORT, 2,
             'field "llama.expert_count" is not implemented with the value 8', PLACE),
        Case("a key of the model missing", gguf(lambda f: f.drop("llama.block_count")), IMPORT, 2, "llama.block_count", PLACE),
        Case("a key of the model as text", claim("llama.block_count", STRING, text("2")), IMPORT, 2,
             "expected the metadata key 'llama.block_count' to be an integer", PLACE),
        Case("absurd layers in GGUF", claim("llama.block_count", UINT32, number(2**32 - 1)), IMPORT, 2,
             "expected a number of layers from 1 to 2147483647, but got 4294967295|the checkpoint has none of that name", PLACE),
        Case("no layers in GGUF", claim("llama.block_count", UINT32, number(0)), IMPORT, 2,
             "expected a number of layers from 1 to 2147483647, but got 0", PLACE),
        Case("an epsilon that is not a number", claim("llama.attention.layer_norm_rms_epsilon", FLOAT32,
             struct.pack("<f", float("nan"))), IMPORT, 2, "nan", PLACE),
        Case("a rotary base of infinity", claim("llama.rope.freq_base", FLOAT32, struct.pack("<f", float("inf"))), IMPORT, 2,
             "inf", PLACE),
        Case("a missing tensor in GGUF", field(UP, 0, "blk.0.ffn_op.weight"), IMPORT, 2,
             rf'expected tensor "{UP}" of shape', PLACE),
        Case("a surplus tensor in GGUF", claim("llama.block_count", UINT32, number(1)), IMPORT, 2,
             r'expected only tensors that a llama model has, but got "blk\.1\.', PLACE),
        Case("a shape that disagrees with the metadata", claim("llama.feed_forward_length", UINT32, number(128)), IMPORT, 2,
             r"expected shape \[128, 64\].*but got .* \[96, 64\]|expected shape \[64, 128\]", PLACE + ': tensor "'),
    ]


def tensor_cases():
    return [
        Case("a tensor of GGUF given twice", field(UP, 0, DOWN), IMPORT, 2, "two tensors have the same name", f"tensor '{DOWN}'"),
        Case("overlapping tensors of GGUF", offset(UP, lambda value: value - 32), IMPORT, 2, "overlaps that of tensor",
             PLACE + ": tensor '"),
        Case("an offset that is not aligned", offset(UP, lambda value: value + 1), IMPORT, 2,
             "expected the data to begin at a multiple of 32", f"tensor '{UP}'"),
        Case("a hole between tensors", offset(UP, lambda value: 2**64 - 32), IMPORT, 2,
             "expected the data to follow the tensor before it", "tensor 'blk.0.ffn_down.weight'"),
        Case("an offset that overflows", offset("output_norm.weight", lambda value: 2**64 - 32), IMPORT, 2,
             "goes past the end of the file|expected the data to follow", "tensor 'output_norm.weight'"),
        Case("a tensor without a name", field(UP, 0, ""), IMPORT, 2, "a tensor's name is empty", "tensor description"),
        Case("a tensor of 5 axes", field(UP, 1, [1, 1, 1, 1, 1]), IMPORT, 2, "a tensor of 5 axes, where at most 4 are read",
             f"tensor '{UP}'"),
        Case("an axis beyond 63 bits", field(UP, 1, [2**63, 1]), IMPORT, 2, "an axis of 9223372036854775808 elements",
             f"tensor '{UP}'"),
        Case("axes whose product overflows", field(UP, 1, [2**32, 2**31]), IMPORT, 2, "more than 2.63 - 1 elements",
             f"tensor '{UP}'"),
        Case("a type that is not read", field(UP, 2, 12), IMPORT, 2, "elements of GGUF type 12 Q4_K are not read",
             f"tensor '{UP}'", "convert the model"),
        Case("an unknown type", field(UP, 2, 4000), IMPORT, 2, "elements of GGUF type 4000 are not read", f"tensor '{UP}'"),
        Case("an axis that is no multiple of its block", field(UP, 1, [65, 96]), IMPORT, 2,
             "expected the innermost axis to be a multiple of 32", f"tensor '{UP}'"),
    ]


def cases():
    return truncated_cases() + header_cases() + model_cases() + tensor_cases()
