"""Artifacts: one flipped byte in every section, cuts, foreign manifests; and prompts that do not fit."""
import json
import struct

from check import Case, base, bytes_of, fixture, raw, safetensors_of
from formats import sections

RUN = 'qopt-run {in}/model.qopt --prompt "a b"'
DAMAGED = "copy or compile the file again: its contents were damaged"
PLACE = r"model\.qopt"
MODEL = {"model.qopt": base("model.qopt")}


def artifact(edit):
    return {"model.qopt": bytes_of("model.qopt", edit)}


def flip(place):
    """`place`: a function of the file's bytes."""
    def edit(data):
        data[place(bytes(data))] ^= 0x10

    return artifact(edit)


def middle(section):
    def place(data):
        start, end = sections(data)[section]
        return (start + end) // 2

    return place


def first(prefix):
    return lambda data: middle(next(name for name in sections(data) if name.startswith(prefix)))(data)


def last(prefix):
    return lambda data: middle([name for name in sections(data) if name.startswith(prefix)][-1])(data)


def manifest(edit):
    """Another manifest, the header as long as it was, so that all else stays in its place."""
    def change(data):
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        value = json.loads(header["__metadata__"]["qopt.manifest"])
        edit(value)
        header["__metadata__"]["qopt.manifest"] = json.dumps(value, separators=(",", ":"))
        written = json.dumps(header, separators=(",", ":")).encode()
        assert len(written) <= length, "the padding of the header does not suffice"
        data[8:8 + length] = written.ljust(length)

    return artifact(change)


def flipped_cases():
    return [
        Case("a flipped byte in the header's length", flip(lambda data: 2), RUN, 2, "a header of .* bytes|ends inside the header"
             "|expected a model that qopt compiled", PLACE),
        Case("a flipped byte in the header's JSON", flip(lambda data: data.index(b'"dtype"') + 2), RUN, 2, "dtype", PLACE),
        Case("a flipped byte in the manifest", flip(lambda data: data.index(b"provenance") + 20), RUN, 2,
             "SHA-256, but they are damaged|not valid JSON|ill-formed|expected", PLACE),
        Case("a flipped byte in the model's name", flip(lambda data: data.index(b"llama-tied")), RUN, 2,
             "expected contents that match their SHA-256, but they are damaged", PLACE + ": header", DAMAGED),
        Case("a flipped byte in the ledger", flip(lambda data: data.index(b"qopt.ledger") + 60), RUN, 2,
             "expected contents that match their SHA-256|not valid JSON", PLACE + ": header"),
        Case("a flipped byte in the header's padding", flip(lambda data: sections(data)[next(iter(sections(data)))][0] - 1), RUN,
             2, "not valid JSON|SHA-256", PLACE + ": header"),
        Case("a flipped byte in the first weights", flip(first("weights.")), RUN, 2,
             "expected weights that match their checksum, but they are damaged", PLACE + r": bytes [0-9]+ to [0-9]+ \(weights\.",
             DAMAGED),
        Case("a flipped byte in the last weights", flip(last("weights.")), RUN, 2,
             "expected weights that match their checksum, but they are damaged", PLACE + r": bytes [0-9]+ to [0-9]+ \(",
             DAMAGED),
        Case("a flipped byte in the padding between", flip(first("padding.")), RUN, 2, "expected padding of zeros only",
             PLACE + r": tensor padding\.", DAMAGED),
        Case("a flipped byte in the code", flip(middle("code.0")), RUN, 2,
             "expected contents that match their SHA-256, but they are damaged", PLACE + r": tensor code\.0", DAMAGED),
        Case("a flipped byte in the tokenizer", flip(middle("tokenizer")), RUN, 2,
             "expected contents that match their SHA-256, but they are damaged", PLACE + ": tensor tokenizer", DAMAGED),
        Case("a flipped byte in the integrity table", flip(middle("integrity")), RUN, 2,
             "expected an integrity table that matches its own SHA-256", PLACE + ": tensor integrity", DAMAGED),
        Case("a flipped byte in the integrity table's magic", flip(lambda data: sections(data)["integrity"][0]), RUN, 2,
             "expected an integrity table that begins with QOPTSUM1", PLACE + ": tensor integrity", DAMAGED),
        Case("a flipped byte in the last byte", flip(lambda data: len(data) - 1), RUN, 2,
             "expected an integrity table that matches its own SHA-256", PLACE + ": tensor integrity", DAMAGED),
        Case("a flipped byte, seen by qopt run", flip(middle("code.0")), 'qopt run {in}/model.qopt --prompt "a b"', 2,
             "expected contents that match their SHA-256", PLACE + r": tensor code\.0", DAMAGED),
        Case("a flipped byte, seen by eval", {**flip(first("weights.")), "t.txt": raw("a b c")},
             "qopt eval {in}/model.qopt --text {in}/t.txt --window 2 --windows 1", 2, "weights that match their checksum", PLACE,
             DAMAGED),
        Case("a flipped byte, seen by bench", flip(last("weights.")), "qopt bench {in}/model.qopt --prompt-tokens 2 --generate 1",
             2, "weights that match their checksum", PLACE, DAMAGED),
        Case("a flipped byte, seen by inspect", flip(middle("tokenizer")), "qopt inspect {in}/model.qopt", 2,
             "expected contents that match their SHA-256", PLACE + ": tensor tokenizer", DAMAGED),
        Case("a flipped byte, seen by tokenize", flip(middle("tokenizer")), "qopt tokenize {in}/model.qopt --text a", 2,
             "expected contents that match their SHA-256", PLACE + ": tensor tokenizer", DAMAGED),
    ]


def cut_cases():
    cut = lambda end: artifact(lambda data: bytes(data[:end(bytes(data))]))
    return [
        Case("an artifact cut in its header", cut(lambda data: 100), RUN, 2, "the file ends inside the header|expected a model "
             "that qopt compiled", PLACE),
        Case("an artifact cut in its weights", cut(lambda data: first("weights.")(data)), RUN, 2, "goes past the end of the file",
             PLACE),
        Case("an artifact cut in its code", cut(middle("code.0")), RUN, 2, "goes past the end of the file", PLACE),
        Case("an artifact cut in its tokenizer", cut(middle("tokenizer")), RUN, 2, "goes past the end of the file", PLACE),
        Case("an artifact cut by one byte", cut(lambda data: -1), RUN, 2, "goes past the end of the file", PLACE),
        Case("an artifact with a byte too many", artifact(lambda data: bytes(data) + b"x"), RUN, 2,
             "the file goes on for 1 bytes after its last tensor", PLACE),
        Case("an empty artifact", {"model.qopt": raw("")}, RUN, 2, "expected a file with contents, but got an empty one", PLACE),
    ]


def manifest_cases():
    target = lambda key, value: manifest(lambda m: m["targets"][0].update({key: value}))
    return [
        Case("a manifest of another version", manifest(lambda m: m.update(format_version=9)), RUN, 2,
             "expected format version [0-9]+ and ABI version [0-9]+, but got 9 and", PLACE + r": qopt\.manifest",
             "compile the model again with this version"),
        Case("a manifest with an absurd vocabulary", manifest(lambda m: m["model"].update(vocabulary=2**62)), RUN, 2,
             "vocabulary|expected an integer", PLACE),
        Case("a manifest with a negative arena", manifest(lambda m: m["arena"].update(constant=-1)), RUN, 2, "-1", PLACE),
        Case("a manifest with other weights", manifest(lambda m: m["weights"].update(bytes=64)), RUN, 2,
             "expected weights of 64 bytes, but got [0-9]+", PLACE),
        Case("a manifest that was edited", manifest(lambda m: m["model"].update(context=m["model"]["context"] - 1)), RUN, 2,
             "expected contents that match their SHA-256", PLACE + ": header", DAMAGED),
        Case("a manifest without targets", manifest(lambda m: m.update(targets=[])), RUN, 2, "expected a list of 1 to [0-9]+ targets",
             PLACE),
        Case("a manifest with an entry that is no name", manifest(lambda m: m.update(entry="a b")), RUN, 2,
             'expected the name of a C function, but got "a b"', PLACE),
    ]


def prompt_cases():
    ids = lambda count: '"' + "1 " * count + '"'
    return [
        Case("a prompt longer than the context", MODEL, "qopt-run {in}/model.qopt --prompt-ids " + ids(129), 2,
             "expected a prompt of at most 128 tokens, the model's context, but got 129", PLACE, "shorten the prompt"),
        Case("a long prompt on the standard input", MODEL, "qopt-run {in}/model.qopt --prompt -", 2,
             "expected a prompt of at most 128 tokens", PLACE, "shorten the prompt", stdin=b"a b c d e " * 2000),
        Case("a long prompt for qopt run", MODEL, "qopt run {in}/model.qopt --prompt-ids " + ids(200), 2,
             "at most 128 tokens, the model's context, but got 200", PLACE, "shorten the prompt"),
        Case("an empty prompt", MODEL, 'qopt-run {in}/model.qopt --prompt ""', 1, "expected a prompt of at least one token", "qopt-run"),
        Case("prompt ids beyond the vocabulary", MODEL, 'qopt-run {in}/model.qopt --prompt-ids "1 288"', 1,
             'expected token ids below 288, but got "288"', "--prompt-ids"),
        Case("negative prompt ids", MODEL, "qopt-run {in}/model.qopt --prompt-ids=-1", 1, 'but got "-1"', "--prompt-ids"),
        Case("chat without a template", MODEL, "qopt-run {in}/model.qopt --prompt x --chat", 2,
             "expected a model with a chat template, but this one came without", PLACE, "leave out --chat"),
        Case("a target that it does not have", MODEL, "qopt-run {in}/model.qopt --prompt x --target z80", 1,
             'expected one of the targets generic-.*, but got "z80"', PLACE),
        Case("a model for another processor", {"model.qopt": base("other.qopt")}, RUN, 3,
             "this processor .* lacks what the model's code needs", PLACE, "--target generic"),
        Case("a checkpoint in place of an artifact", {"m.gguf": fixture("llama-tiny.gguf")}, "qopt-run {in}/m.gguf --prompt x", 2,
             "expected a model that qopt compiled, but got a GGUF file", r"m\.gguf", "qopt build"),
        Case("an archive in place of an artifact", {"m.safetensors": fixture("llama-tied/model.safetensors")},
             "qopt-run {in}/m.safetensors --prompt x", 2, "expected a model that qopt compiled", r"m\.safetensors", "qopt build"),
        Case("a checkpoint for qopt run", {"m.gguf": fixture("llama-tiny.gguf")}, "qopt run {in}/m.gguf --prompt x", 2,
             "expected an artifact or an IR file, but got a GGUF file", r"m\.gguf", "qopt build"),
        Case("no artifact", {}, RUN, 2, "cannot read the file: No such file", PLACE),
        Case("bench longer than the context", MODEL, "qopt bench {in}/model.qopt --prompt-tokens 100 --generate 100", 2,
             "expected at most 128 tokens, the model's context, but got 200", "qopt bench"),
        Case("eval with a window longer than the context", {**MODEL, "t.txt": raw("a b c " * 1000)},
             "qopt eval {in}/model.qopt --text {in}/t.txt --window 512 --windows 1", 2,
             "expected a window of at most 128 tokens, the model's context, but got 512", ".+", "--window 128"),
        Case("eval with a text too short", {**MODEL, "t.txt": raw("a")},
             "qopt eval {in}/model.qopt --text {in}/t.txt --window 64 --windows 4", 2,
             "expected a text of at least one window, 64 tokens, but got 1", ".+"),
        Case("eval with a gzip file", {**MODEL, "t.txt": raw(b"\x1f\x8b" + bytes(100))},
             "qopt eval {in}/model.qopt --text {in}/t.txt --window 64 --windows 1", 2, "expected plain text, but got a gzip file",
             r"t\.txt", "gunzip"),
        Case("eval without its text", MODEL, "qopt eval {in}/model.qopt --text {in}/t.txt", 2, "cannot read the file", r"t\.txt"),
    ]


def cases():
    return flipped_cases() + cut_cases() + manifest_cases() + prompt_cases()
