"""Checkpoints of Hugging Face: config.json, model.safetensors, shards and their index."""
import json

from check import Case, bytes_of, fixture, json_of, raw, safetensors_of

IMPORT = "qopt import {in}/model -o {out}/model.mlir"
NORM = "model.norm.weight"
FIRST_SHARD, SECOND_SHARD = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def tied(file, make, **more):
    return {"model": fixture("llama-tied"), f"model/{file}": make, **more}


def config(edit):
    return tied("config.json", json_of("", edit))


def weights(edit):
    return tied("model.safetensors", safetensors_of("", edit))


def cut(size):
    return tied("model.safetensors", bytes_of("", lambda data: bytes(data[:size])))


def shards(file, make):
    return {"model": fixture("llama-sharded"), f"model/{file}": make}


def remove(bench, path):
    path.unlink()


def again(text):
    """The header's text with `text` put at the front of its object."""

    def edit(file):
        file.text = "{" + text + "," + json.dumps(file.header)[1:]

    return edit


def shift(tensor, by):
    def edit(file):
        file.header[tensor]["data_offsets"] = [offset + by for offset in file.header[tensor]["data_offsets"]]

    return edit


def rename(old, new):
    def edit(file):
        file.header[new] = file.header.pop(old)

    return edit


def config_cases():
    place, next_ = r"model/config\.json", r"import|config"
    deep = '{"architectures": ' + "[" * 100000 + "]" * 100000 + "}"
    return [
        Case("no config.json", tied("config.json", remove), IMPORT, 2, "cannot read the file: No such file", place,
             "name a directory with config.json and model.safetensors, or a .gguf file"),
        Case("an empty config.json", tied("config.json", raw("")), IMPORT, 2, "not valid JSON: .*unexpected end of input",
             place + ": byte 0"),
        Case("a truncated config.json", tied("config.json", bytes_of("", lambda data: bytes(data[:100]))), IMPORT, 2,
             "not valid JSON", place + ": byte 100"),
        Case("a config.json of another kind", tied("config.json", raw("[1, 2]")), IMPORT, 2, "expected an object", place),
        Case("deep JSON", tied("config.json", raw(deep)), IMPORT, 2, "JSON nested deeper than 32 levels", place + ": byte [0-9]+"),
        Case("a large config.json", tied("config.json", raw(b" " * (2 << 20))), IMPORT, 2, "1048576", place),
        Case("a key given twice", tied("config.json", bytes_of("", lambda data: data.replace(
            b'"model_type"', b'"num_hidden_layers": 1, "model_type"'))), IMPORT, 2,
            "the key 'num_hidden_layers' is given twice", place),
        Case("another architecture", config(lambda c: c.update(architectures=["MistralForCausalLM"])), IMPORT, 2,
             r'expected "architectures": \["LlamaForCausalLM"\].*but got \["MistralForCausalLM"\]', place,
             "llama architecture"),
        Case("a field that changes the mathematics", config(lambda c: c.update(hidden_act="gelu")), IMPORT, 2,
             'field "hidden_act" is not implemented with the value "gelu"', place, "import a model without it"),
        Case("an unknown field", config(lambda c: c.update(residual_multiplier=0.22)), IMPORT, 2,
             'field "residual_multiplier" is not implemented with the value 0.22', place),
        Case("a text where a number belongs", config(lambda c: c.update(hidden_size="64")), IMPORT, 2,
             'expected an integer for "hidden_size", but got "64"', place),
        Case("a missing key", config(lambda c: c.pop("intermediate_size")), IMPORT, 2,
             'expected a key "intermediate_size"', place),
        Case("no heads", config(lambda c: c.update(num_attention_heads=0)), IMPORT, 2, "but got 0", place),
        Case("negative layers", config(lambda c: c.update(num_hidden_layers=-1)), IMPORT, 2,
             "expected a number of layers from 1 to 2147483647, but got -1", place),
        Case("an absurd number of layers", config(lambda c: c.update(num_hidden_layers=2**31 - 1)), IMPORT, 2,
             "expected at most 100000 layers, but got 2147483647", place),
        Case("a layer more than there is", config(lambda c: c.update(num_hidden_layers=3)), IMPORT, 2,
             r'"model\.layers\.2\.input_layernorm\.weight" of shape \[64\].*but the checkpoint has none', "model",
             "compare the number of layers"),
        Case("a number beyond 64 bits", config(lambda c: c.update(vocab_size=2**70)), IMPORT, 2,
             'expected an integer for "vocab_size"', place),
        Case("heads that the key heads do not divide", config(lambda c: c.update(num_key_value_heads=3)), IMPORT, 2,
             "attention heads that the key/value heads divide, but got 4 and 3", place),
        Case("an infinite epsilon", tied("config.json", bytes_of("", lambda data: data.replace(b"1e-05", b"1e999"))), IMPORT,
             2, "number overflow", place),
        Case("a negative rotary base", config(lambda c: c["rope_parameters"].update(rope_theta=-1.0)), IMPORT, 2, "-1", place),
        Case("two rotary bases", config(lambda c: c.update(rope_theta=5000.0)), IMPORT, 2,
             r'expected one rotary base, but got 5000\.0 in "rope_theta" and another in "rope_parameters"', place),
    ]


def safetensors_cases():
    place = r"model/model\.safetensors"
    download = "download or convert the file again"
    return [
        Case("an empty safetensors file", cut(0), IMPORT, 2, "too short for a safetensors or GGUF file: 0 bytes",
             place + ": byte 0", download),
        Case("cut inside the header's length", cut(5), IMPORT, 2, "too short .*: 5 bytes", place, download),
        Case("cut inside the header", cut(300), IMPORT, 2, "the file ends inside the header", place + ": byte 300", download),
        Case("cut inside the data", cut(200000), IMPORT, 2, "goes past the end of the file", place + ": tensor '", download),
        Case("a header longer than the file", weights(lambda f: setattr(f, "length", 1 << 40)), IMPORT, 2,
             "a header of 1099511627776 bytes, where at most", place + ": byte 0", download),
        Case("a header's length of all ones", weights(lambda f: setattr(f, "length", 2**64 - 1)), IMPORT, 2,
             "a header of 18446744073709551615 bytes", place, download),
        Case("a header of another kind", weights(lambda f: setattr(f, "text", '["a"]')), IMPORT, 2,
             "neither a safetensors nor a GGUF file", place),
        Case("a deep header", weights(lambda f: setattr(f, "text", '{"a":' + "[" * 100000)), IMPORT, 2,
             "JSON nested deeper than 4 levels", place + r": header \(from byte 8\): byte"),
        Case("a pickle", tied("model.safetensors", raw(b"PK\x03\x04" + bytes(100))), IMPORT, 2,
             "but got a pickled PyTorch checkpoint", place, "save the model as safetensors"),
        Case("a Git LFS pointer", tied("model.safetensors", raw("version https://git-lfs.github.com/spec/v1\noid sha256:0")),
             IMPORT, 2, "but got a Git LFS pointer", place, "git lfs pull"),
        Case("a tensor given twice", weights(again(f'"{NORM}":{{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}')), IMPORT,
             2, f"the key '{NORM}' is given twice", place),
        Case("metadata that is no text", weights(again('"__metadata__":{"format":1}')), IMPORT, 2, "__metadata__", place),
        Case("overlapping ranges", weights(shift(NORM, -4)), IMPORT, 2, "overlaps that of tensor", place + ": tensor '"),
        Case("a hole between ranges", tied("model.safetensors", safetensors_of("", lambda f: (
            shift(max(f.header, key=lambda n: n != "__metadata__" and f.header[n]["data_offsets"][0]), 8)(f),
            f.data.extend(bytes(8))))), IMPORT, 2, "expected the data to follow the tensor before it", place + ": tensor '"),
        Case("offsets that overflow", weights(lambda f: f.header[NORM].update(data_offsets=[2**64 - 256, 2**64])), IMPORT, 2,
             "expected data_offsets to be .begin, end. with 0 <= begin <= end", place + f": header: tensor '{NORM}'"),
        Case("a range backwards", weights(lambda f: f.header[NORM].update(data_offsets=[256, 0])), IMPORT, 2,
             r"but got \[256,0\]", place),
        Case("a shape that overflows", weights(lambda f: f.header[NORM].update(shape=[2**32, 2**32])), IMPORT, 2,
             "the shape has more than 2.63 - 1 elements", place),
        Case("a shape of another size", weights(lambda f: f.header[NORM].update(shape=[65])), IMPORT, 2,
             r"dtype and shape \(f32 \[65\]\) take 260 bytes, but data_offsets span 256", place),
        Case("an unknown dtype", weights(lambda f: f.header[NORM].update(dtype="F8_E4M3")), IMPORT, 2,
             "elements of type 'F8_E4M3' are not read", place, "convert the tensor"),
        Case("integers as weights", weights(lambda f: f.header[NORM].update(dtype="I32")), IMPORT, 2,
             "expected a tensor of f32, f16, bf16 or GGUF blocks, but got i32", place, "convert the checkpoint"),
        Case("bytes after the last tensor", tied("model.safetensors", bytes_of("", lambda data: bytes(data) + b"xyz")), IMPORT,
             2, "the file goes on for 3 bytes after its last tensor", place + ": byte"),
        Case("a missing tensor", weights(rename(NORM, "model.normal.weight")), IMPORT, 2,
             rf'expected tensor "{NORM}" of shape \[64\].*but the checkpoint has none', "model",
             "compare the number of layers"),
        Case("a surplus tensor", config(lambda c: c.update(num_hidden_layers=1)), IMPORT, 2,
             r'expected only tensors that a llama model has, but got "model\.layers\.1\.', place),
        Case("a shape that disagrees with the configuration", config(lambda c: c.update(intermediate_size=128)), IMPORT, 2,
             r"expected shape \[128, 64\] for model\.layers\.0\.mlp\.gate_proj\.weight, but got f32 \[96, 64\]", place,
             "compare the tensor with the model's configuration"),
        Case("a vocabulary that disagrees with the configuration", config(lambda c: c.update(vocab_size=300)), IMPORT, 2,
             r"expected shape \[300, 64\] for model\.embed_tokens\.weight", place),
        Case("control characters in a name", weights(lambda f: f.header.update(
            {"\x1b[2J": {"dtype": "F8", "shape": [], "data_offsets": [0, 0]}})), IMPORT, 2, "elements of type 'F8'",
            r"tensor '\\x1B\[2J'"),
    ]


def index_cases():
    index = lambda edit: shards(INDEX, json_of("", edit))
    place = r"model/model\.safetensors\.index\.json"
    return [
        Case("a missing shard", shards(SECOND_SHARD, remove), IMPORT, 2, "cannot read the file: No such file", SECOND_SHARD),
        Case("no index and no weights", shards(INDEX, remove), IMPORT, 2,
             "holds neither model.safetensors nor model.safetensors.index.json", "model", "Hugging Face checkpoint"),
        Case("an index without a map", index(lambda i: i.pop("weight_map")), IMPORT, 2,
             "expected an object with an object 'weight_map'", place, "all of one revision"),
        Case("an empty index", index(lambda i: i["weight_map"].clear()), IMPORT, 2, "the weight_map is empty", place),
        Case("an index that leaves the folder", index(lambda i: i["weight_map"].update({NORM: "../../etc/passwd"})), IMPORT, 2,
             "expected the name of a file beside the index, but got '../../etc/passwd'", f"{place}: tensor '{NORM}'"),
        Case("an index that names a number", index(lambda i: i["weight_map"].update({NORM: 7})), IMPORT, 2,
             "expected the name of a shard, but got number", place),
        Case("an index that lacks a tensor", index(lambda i: i["weight_map"].pop(NORM)), IMPORT, 2,
             "the shard holds a tensor that the index does not place in it", f"tensor '{NORM}'", "one revision"),
        Case("an index with a tensor too many", index(lambda i: i["weight_map"].update({"more": FIRST_SHARD})), IMPORT, 2,
             "the shard lacks a tensor that the index places in it", "tensor 'more'", "one revision"),
        Case("a truncated index", shards(INDEX, bytes_of("", lambda data: bytes(data[:200]))), IMPORT, 2, "not valid JSON",
             place + ": byte 200"),
        Case("a GGUF file as a shard", shards(FIRST_SHARD, fixture("llama-tiny.gguf")), IMPORT, 2,
             "expected the shards of an index to be safetensors files, but got GGUF", FIRST_SHARD),
        Case("shards of two revisions", shards(SECOND_SHARD, lambda bench, path: path.write_bytes(
            (path.parent / FIRST_SHARD).read_bytes())), IMPORT, 2, "the shard lacks a tensor", SECOND_SHARD),
        Case("an unknown rope scaling", shards("config.json", json_of("", lambda c: c["rope_parameters"].update(
            rope_type="yarn"))), IMPORT, 2, 'field "rope_parameters.rope_type" is not implemented with the value "yarn"',
            "config"),
        Case("a bias that is not configured", shards("config.json", json_of("", lambda c: c.update(attention_bias=False))),
             IMPORT, 2, r'but got "model\.layers\.0\.self_attn\.._proj\.bias"', r"model-0000.-of-00002"),
    ]


def cases():
    return config_cases() + safetensors_cases() + index_cases()
