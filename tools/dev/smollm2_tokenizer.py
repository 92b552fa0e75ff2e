#!/usr/bin/env python3
"""Makes the Hugging Face tokenizer of a GGUF file, and compares our ids with those of the `tokenizers` package.

    smollm2_tokenizer.py json MODEL.gguf -o tokenizer.json
    smollm2_tokenizer.py compare MODEL.gguf --probe tokenizer_probe [--lines 20000] [--seed 1]

A GGUF file of byte-level BPE holds the vocabulary, the merges and the kinds of tokens, and a name for how text is cut.
For `smollm` that is Sequence[Digits(individual), ByteLevel]. `compare` writes lines over every Unicode plane (characters
assigned up to Unicode 14, because PCRE2 10.42 knows no more), control characters, special tokens inside text, long runs
and random cuts; exit code 0 when all ids are equal, 1 when not, 77 when a package is missing.

Needs the packages gguf and tokenizers, and a Python whose unicodedata is of version 14 (3.11) for `compare`.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

try:
    import gguf
    import tokenizers
    from tokenizers import AddedToken, decoders, models, pre_tokenizers
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)


def load(path):
    fields = gguf.GGUFReader(path).fields
    get = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    if get("model") != "gpt2" or get("pre") != "smollm":
        sys.exit(f"expected model gpt2 with pre smollm, but got {get('model')} with {get('pre')}")
    tokens, kinds, merges = get("tokens"), get("token_type"), get("merges")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return tokenizer, special


def assigned_characters():
    """All assigned characters of Unicode 14 by plane, without surrogates and private use."""
    if unicodedata.unidata_version != "14.0.0":
        print(f"SKIP: this Python knows Unicode {unicodedata.unidata_version}, but 14.0.0 is needed")
        sys.exit(77)
    planes = {}
    for code in range(0x110000):
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co"):
            planes.setdefault(code >> 16, []).append(chr(code))
    planes[15], planes[16] = [chr(0xF0000), chr(0xFFFFD)], [chr(0x100000), chr(0x10FFFD)]
    return planes


def make_lines(count, seed, special):
    rng = random.Random(seed)
    planes = assigned_characters()
    by_category = {}
    for characters in planes.values():
        for character in characters:
            by_category.setdefault(unicodedata.category(character), []).append(character)
    numeric = by_category["Nd"] + by_category["Nl"] + by_category["No"]
    spaces = [c for c in map(chr, range(0x3001)) if c.isspace()] + ["\u180e", "\u200b", "\ufeff"]
    controls = [chr(c) for c in range(0x20)] + [chr(c) for c in range(0x7F, 0xA0)]
    words = ("the a of model's I'll we've don't it's THEY'RE he'd x1 3.14 2026-11-21 naïve café für 日本語 русский "
             "foo_bar foo.bar() <b> </b> -- ... !!! http://a.b/c?d=e&f \t \n \r\n \n\n 'S 'ſ 'LL 1234567 ١٢٣ Ⅷ ½").split(" ")

    def characters(n):
        kind = rng.randrange(7)
        if kind == 0:
            return "".join(rng.choice(planes[rng.choice(list(planes))]) for _ in range(n))
        if kind == 1:
            return "".join(rng.choice(by_category[rng.choice(list(by_category))]) for _ in range(n))
        if kind == 2:
            start, plane = 0, planes[rng.choice([0, 0, 0, 1, 2, 3, 14])]
            start = rng.randrange(len(plane))
            return "".join(rng.choice(plane[start:start + 100]) for _ in range(n))
        if kind == 3:
            return "".join(rng.choice(rng.choice([numeric, spaces, controls, "abc", "AZ", "'\"-"])) for _ in range(n))
        if kind == 4:
            return "".join(chr(rng.randrange(128)) for _ in range(n))
        if kind == 5:
            return " ".join(rng.choice(words) for _ in range(n))
        return rng.choice([" ", "\n", "a", "'", "0", "é", "\u3000", "\t ", "\r\n", "ab", "🙂", "=-", "\u180e"]) * rng.choice([n, 10 * n])

    lines = []
    everything = "".join("".join(plane) for _, plane in sorted(planes.items()))
    step = max(1, len(everything) // (count // 4))  # a quarter of the lines together hold every character
    lines += [everything[i:i + step] for i in range(0, len(everything), step)][:count // 3]
    lines += special + [token[:-1] for token in special] + [token * 3 for token in special]
    for _ in range(10):
        lines.append(rng.choice(["a", " ", "\n", "0", "é", "🙂", "ab "]) * rng.randrange(1000, 20000))
    while len(lines) < count:
        parts = [characters(rng.randrange(1, 12)) for _ in range(rng.randrange(1, 6))]
        if rng.random() < 0.3:
            parts.insert(rng.randrange(len(parts) + 1), rng.choice(special))
        if rng.random() < 0.1:
            token = rng.choice(special)
            parts.insert(rng.randrange(len(parts) + 1), token[:rng.randrange(1, len(token))])
        line = "".join(parts)
        if rng.random() < 0.2 and line:
            cut = rng.randrange(len(line))
            lines += [line[:cut], line[cut:]]
        lines.append(line)
    return lines[:count]


def run_probe(probe, command, tokenizer_path, lines_path):
    result = subprocess.run([probe, command, tokenizer_path, lines_path], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{probe}: exit code {result.returncode}\n{result.stderr}")
    return result.stdout.split("\n")[:-1]


def compare(arguments):
    tokenizer, special = load(arguments.model)
    lines = make_lines(arguments.lines, arguments.seed, special)
    with tempfile.TemporaryDirectory() as folder:
        json_path, lines_path = Path(folder) / "tokenizer.json", Path(folder) / "lines.jsonl"
        tokenizer.save(str(json_path))
        lines_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        wrong = 0
        for command in ("encode", "plain"):
            tokenizer.encode_special_tokens = command == "plain"
            expected = tokenizer.encode_batch(lines)
            got = run_probe(arguments.probe, command, json_path, lines_path)
            if len(got) != len(lines):
                sys.exit(f"expected {len(lines)} lines of ids, but got {len(got)}")
            for line, encoding, ids in zip(lines, expected, got):
                want = " ".join(map(str, encoding.ids))
                if ids != want:
                    wrong += 1
                    if wrong <= 10:
                        print(f"{command} {line!a:.300}\n  wanted {want:.300}\n  got    {ids:.300}")
    print(f"{len(lines)} lines, {sum(map(len, lines))} characters, with and without special tokens: {wrong} differ")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("json")
    one.add_argument("model")
    one.add_argument("-o", "--output", required=True)
    two = commands.add_parser("compare")
    two.add_argument("model")
    two.add_argument("--probe", required=True)
    two.add_argument("--lines", type=int, default=20000)
    two.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not Path(arguments.model).is_file():
        print(f"SKIP: no model at {arguments.model}")
        return 77
    if arguments.command == "compare":
        return compare(arguments)
    load(arguments.model)[0].save(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
