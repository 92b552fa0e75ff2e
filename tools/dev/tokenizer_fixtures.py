#!/usr/bin/env python3
"""Writes the small tokenizers of tests/unit/Text/fixtures, trained here, with lines and the ids that `tokenizers` gives.

    tokenizer_fixtures.py [-o FOLDER] [--lines N] [--probe tokenizer_probe]

gpt2.json cuts as SmolLM2 does (Digits, then GPT-2's expression) and has added tokens with lstrip, rstrip and without
`special`; llama3.json cuts by Llama 3's expression, takes whole words from the vocabulary and puts a beginning-of-text
token first. Each line of NAME.ids.jsonl is [text, ids, ids with special tokens not recognized, or null if the same]. With --probe nothing is
written; N lines are compared instead (exit code 1 when one differs).

Needs the package tokenizers and a Python whose unicodedata is of version 14 (3.11).
"""
import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import smollm2_tokenizer as lines_of
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|begin|>", "<|end|>", "<|im_start|>", "<|im|>"]


def corpus(rng):
    """Generated text with the statistics of words: syllables, capitals, numbers, punctuation, a few scripts."""
    syllables = ["ta", "ri", "on", "ing", "ed", "the", "qu", "al", "est", "er", "ment", "pre", "com", "ä", "ß", "né",
                 "ка", "то", "ние", "日本", "語", "한국", "אב", "ع", "🙂"]
    words = ["".join(rng.choices(syllables, k=rng.randrange(1, 4))) for _ in range(600)]
    glue = [" ", " ", " ", " ", ", ", ". ", "\n", "\n\n", "  ", "    ", "\t", "'s ", "'LL ", " - ", "...", "!", "=="]
    for _ in range(3000):
        text = ""
        for _ in range(rng.randrange(5, 30)):
            word = words[min(int(rng.paretovariate(0.6)) - 1, len(words) - 1)]
            text += rng.choice([word, word, word, word.capitalize(), str(rng.randrange(3000))]) + rng.choice(glue)
        yield text


def train(kind):
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    if kind == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus(random.Random(7)), trainer)
    if kind == "gpt2":
        tokenizer.add_special_tokens([AddedToken("<left>", lstrip=True, normalized=False, special=True),
                                      AddedToken("<right>", rstrip=True, normalized=False, special=True)])
        tokenizer.add_tokens([AddedToken("<plain>", normalized=True), AddedToken("both", lstrip=True, rstrip=True, normalized=True)])
    else:
        begin = tokenizer.token_to_id("<|begin|>")
        tokenizer.post_processor = processors.Sequence(
            [processors.ByteLevel(trim_offsets=False),
             processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", begin)])])
    return tokenizer


def encode(tokenizer, lines):
    tokenizer.encode_special_tokens = False
    with_special = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
    tokenizer.encode_special_tokens = True
    return list(zip(lines, with_special, (encoding.ids for encoding in tokenizer.encode_batch(lines))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", default=Path(__file__).parents[2] / "tests/unit/Text/fixtures")
    parser.add_argument("--lines", type=int, default=280)
    parser.add_argument("--probe")
    arguments = parser.parse_args()
    wrong = 0
    for kind in ("gpt2", "llama3"):
        tokenizer = train(kind)
        special = SPECIAL + (["<left>", "<right>", "<plain>", "both", " <left> ", " both  ", "<right>\t\n"] if kind == "gpt2" else [])
        lines = lines_of.make_lines(arguments.lines, 3, special)
        if not arguments.probe:
            lines = [line[:50] for line in lines]
            tokenizer.save(str(Path(arguments.output) / f"{kind}.json"), pretty=False)
            with open(Path(arguments.output) / f"{kind}.ids.jsonl", "w") as out:
                for line, ids, plain in encode(tokenizer, lines):
                    case = [line, ids, plain if plain != ids else None]
                    out.write(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n")
            continue
        with tempfile.TemporaryDirectory() as folder:
            json_path, lines_path = Path(folder) / "tokenizer.json", Path(folder) / "lines.jsonl"
            tokenizer.save(str(json_path))
            lines_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            got = [lines_of.run_probe(arguments.probe, command, json_path, lines_path) for command in ("encode", "plain")]
            for (line, *wanted), *ids in zip(encode(tokenizer, lines), *got):
                if [" ".join(map(str, one)) for one in wanted] != ids:
                    wrong += 1
                    if wrong < 10:
                        print(f"{kind} {line!a:.200}\n  wanted {wanted}\n  got    {ids}"[:1000])
        print(f"{kind}: {len(lines)} lines compared, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
