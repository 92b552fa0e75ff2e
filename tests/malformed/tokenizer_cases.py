"""Tokenizers of both kinds of checkpoint, chat templates, and what `qopt tokenize` is given."""
import json
import struct

from check import Case, base, bytes_of, fixture, gguf_of, json_of, raw
from formats import STRING, UINT32, text, texts

IMPORT = "qopt import {in}/model -o {out}/model.mlir"
IMPORT_GGUF = "qopt import {in}/model.gguf -o {out}/model.mlir"
PLACE = r"model: tokenizer\.json"


def tokenizer(edit):
    return {"model": fixture("llama-tied"), "model/tokenizer.json": json_of("", edit)}


def bpe(edit):
    return tokenizer(lambda t: edit(t["model"]))


def file(name, data):
    return {"model": fixture("llama-tied"), f"model/{name}": raw(data)}


def gguf(edit):
    return {"model.gguf": gguf_of("llama-tiny.gguf", edit)}


def merges(edit):
    """The merges of the GGUF file as a list of strings, edited."""
    def change(file):
        values = file.strings("tokenizer.ggml.merges")
        file.set("tokenizer.ggml.merges", 9, texts(edit(values)))

    return gguf(change)


def tokens(edit):
    def change(file):
        values = file.strings("tokenizer.ggml.tokens")
        file.set("tokenizer.ggml.tokens", 9, texts(edit(values)))

    return gguf(change)


def json_cases():
    return [
        Case("a truncated tokenizer.json", {"model": fixture("llama-tied"), "model/tokenizer.json": bytes_of(
            "", lambda data: bytes(data[:1000]))}, IMPORT, 2, "malformed JSON at byte 1000", PLACE),
        Case("a deep tokenizer.json", file("tokenizer.json", '{"model":' + "[" * 100000), IMPORT, 2, "nesting deeper than 64 levels",
             PLACE),
        Case("a merge that is not in the vocabulary", bpe(lambda m: m["merges"].append("Ġ zzz")), IMPORT, 2,
             "merge of 'zzz', which is not in the vocabulary", PLACE + ".*: merge 31"),
        Case("a merge whose result is not in the vocabulary", bpe(lambda m: m["merges"].append("q z")), IMPORT, 2,
             "expected a merge to make a token, but 'q' and 'z' make 'qz', which is not in the vocabulary", "merge 31"),
        Case("a merge of three", bpe(lambda m: m["merges"].append("a b c")), IMPORT, 2,
             "expected two tokens with a space between, but got 'a b c'", "merge 31"),
        Case("a merge given twice", bpe(lambda m: m["merges"].append(m["merges"][0])), IMPORT, 2, "duplicate merge of 'Ġ' and 'a'",
             "tokenizer merges"),
        Case("merges that are no list", bpe(lambda m: m.update(merges={})), IMPORT, 2, "expected 'merges' to be an array", PLACE),
        Case("two tokens of one id", bpe(lambda m: m["vocab"].update({"a": 1})), IMPORT, 2,
             "id 1 belongs to two tokens, one of them 'ā'", PLACE + ": model: vocab"),
        Case("an id beyond the vocabulary", bpe(lambda m: m["vocab"].update({"a": 2**31})), IMPORT, 2,
             "expected ids 0 to 287, each once, but token 'a' has 2147483648", PLACE + ": model: vocab"),
        Case("a token given twice", {"model": fixture("llama-tied"), "model/tokenizer.json": bytes_of("", lambda data: data.replace(
            b'"#": 35', b'"#": 35, "#": 36'))}, IMPORT, 2, "duplicate key '#'", PLACE),
        Case("another model of tokens", bpe(lambda m: m.update(type="Unigram")), IMPORT, 2, "unsupported tokenizer model 'Unigram'", PLACE),
        Case("a normalizer", tokenizer(lambda t: t.update(normalizer={"type": "NFKC"})), IMPORT, 2,
             "unsupported normalizer 'NFKC'", PLACE + ": normalizer"),
        Case("a regular expression that does not compile", tokenizer(lambda t: t.update(pre_tokenizer={
            "type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated", "invert": False}, t["pre_tokenizer"]]})),
            IMPORT, 2, "unsupported regular expression: missing closing parenthesis", r"pre_tokenizer: pattern '\(a'"),
        Case("more tokens than the model has", tokenizer(lambda t: t["added_tokens"].append(
            {**t["added_tokens"][0], "id": 288, "content": "<|more|>"})), IMPORT, 2,
            "expected a tokenizer of at most 288 tokens, the model's vocabulary, but got 289", "model: tokenizer",
            "use the tokenizer that belongs to the model"),
        Case("an added token with a gap before its id", tokenizer(lambda t: t["added_tokens"].append(
            {**t["added_tokens"][0], "id": 1000000, "content": "<|far|>"})), IMPORT, 2,
            "expected the next free id, 288, but got 1000000", "added token '<.far.>'"),
        Case("a chat template outside of the subset", file("chat_template.jinja", "{% macro f() %}x{% endmacro %}"), IMPORT, 2,
             "macro", "chat template", r"docs/ChatTemplates\.md"),
        Case("a chat template that is cut", file("chat_template.jinja", "{% for m in messages %}{{ m.content }}"), IMPORT, 2,
             "endfor|for", "chat template"),
        Case("a deep chat template", file("chat_template.jinja", "{{ " + "(" * 100000 + "1" + ")" * 100000 + " }}"), IMPORT, 2,
             "deep|nest", "chat template"),
        Case("a truncated generation_config.json", file("generation_config.json", '{"eos_token_id": '), IMPORT, 2,
             "not valid JSON", r"generation_config\.json"),
        Case("a stop token beyond the vocabulary", file("generation_config.json", '{"eos_token_id": 5000}'), IMPORT, 2,
             "expected token ids below 288, but got 5000", r"generation_config\.json: eos_token_id"),
    ]


def gguf_cases():
    return [
        Case("a tokenizer model that is not implemented", gguf(lambda f: f.set("tokenizer.ggml.model", STRING, text("llama"))),
             IMPORT_GGUF, 2, "unsupported tokenizer model 'llama'", r"tokenizer\.ggml\.model"),
        Case("an unknown pre-tokenizer", gguf(lambda f: f.set("tokenizer.ggml.pre", STRING, text("mystery"))), IMPORT_GGUF, 2,
             "unsupported pre-tokenizer 'mystery'; implemented: ", r"tokenizer\.ggml\.pre"),
        Case("no tokens", gguf(lambda f: f.drop("tokenizer.ggml.tokens")), IMPORT_GGUF, 2,
             "no metadata key 'tokenizer.ggml.tokens'", r"model\.gguf"),
        Case("tokens of another type", gguf(lambda f: f.set("tokenizer.ggml.tokens", UINT32, struct.pack("<I", 1))),
             IMPORT_GGUF, 2, "expected the metadata key 'tokenizer.ggml.tokens' to be an array of strings", r"model\.gguf"),
        Case("a token too few", tokens(lambda t: t[:-1]), IMPORT_GGUF, 2,
             "expected 287 token types, one for each token, but got 288", r"tokenizer\.ggml\.token_type"),
        Case("a token of GGUF given twice", tokens(lambda t: t[:-1] + t[:1]), IMPORT_GGUF, 2,
             "duplicate token 'Ā' with ids 0 and 287", r"tokenizer\.ggml\.tokens"),
        Case("a token that is not UTF-8", tokens(lambda t: t[:200] + [b"\xc3\x28"] + t[201:]), IMPORT_GGUF, 2,
             r"expected UTF-8, but token 200 is '\\xC3\('", "tokenizer vocabulary"),
        Case("a wrong merge in GGUF", merges(lambda m: m + ["Ġ zzz"]), IMPORT_GGUF, 2,
             "merge of 'zzz', which is not in the vocabulary", r"tokenizer\.ggml\.merges 31"),
        Case("a merge without a space", merges(lambda m: ["ab"] + m), IMPORT_GGUF, 2,
             "expected two tokens with a space between, but got 'ab'", r"tokenizer\.ggml\.merges 0"),
        Case("an end token beyond the vocabulary", gguf(lambda f: f.set("tokenizer.ggml.eos_token_id", UINT32,
             struct.pack("<I", 288))), IMPORT_GGUF, 2, "expected a token id below 288, but got 288",
             r"tokenizer\.ggml\.eos_token_id"),
        Case("a chat template of GGUF outside of the subset", gguf(lambda f: f.set("tokenizer.chat_template", STRING, text(
            "{% import 'x' as y %}"))), IMPORT_GGUF, 2, "import", "chat template"),
    ]


def tokenize_cases():
    tokenizer = {"t.json": fixture("llama-tied/tokenizer.json")}
    return [
        Case("ids beyond the vocabulary", tokenizer, 'qopt tokenize {in}/t.json --decode "1 2 288"', 1,
             'expected token ids below 288, but got "288"', "--decode"),
        Case("ids that are no numbers", tokenizer, 'qopt tokenize {in}/t.json --decode "1 two"', 1, 'but got "two"', "--decode"),
        Case("a tokenizer that is IR", {"m.mlir": base("model.mlir")}, "qopt tokenize {in}/m.mlir --text x", 2,
             "expected a GGUF file, a Hugging Face directory, a tokenizer.json or an artifact, but got IR or another text", r"m\.mlir"),
        Case("a folder without a tokenizer", {"model": lambda bench, path: path.mkdir()}, "qopt tokenize {in}/model --text x", 2,
             "expected a tokenizer, but there is none in it", "model"),
        Case("a tokenizer that is empty", {"t.json": raw("{}")}, "qopt tokenize {in}/t.json --text x", 2,
             "expected an object, but got null",
             r"tokenizer\.json"),
        Case("neither text nor ids", tokenizer, "qopt tokenize {in}/t.json", 1, "expected --text or --decode", "qopt tokenize"),
    ]


def cases():
    return json_cases() + gguf_cases() + tokenize_cases()
