#!/usr/bin/env python3
"""Logits of a model as Hugging Face transformers computes them, in f32 on the CPU: writes them, or compares with a file.

    transformers_logits.py write SOURCE -o FILE      e.g. SmolLM2-135M-Instruct.Q4_1.gguf -o smollm2-original.safetensors
    transformers_logits.py check SOURCE FILE [--tolerance 2e-3]

SOURCE is a GGUF file or a directory with config.json. Needs transformers and torch, for GGUF also gguf and accelerate;
the files in tests/model/fixtures were made with transformers 5.23.0, torch 2.15.0 and gguf 0.19.0 (their metadata say so).

Each text of tests/model/texts is encoded, and its first 64 tokens are run as one sequence with eager attention. All
logits of three texts are 38 MB, so FILE holds of each NAME.txt
    NAME.ids         [n] i32        all tokens of the text
    NAME.top.ids     [64, 16] i32   the most likely tokens of each position, most likely first
    NAME.top         [64, 16] f32   their logits
    NAME.sample      [64, 128] f32  the logits of the tokens in `sample`, [128] i32, which are the same for every text
    NAME.logsumexp   [64] f32       of all logits
and as metadata the versions and the SHA-256 of every file of SOURCE that was read. `check` compares all of them with what
SOURCE gives, and that the chat template makes chat.txt. Exit code 1: something differs; 77: a package is missing.
"""
import argparse
import hashlib
import json
import pathlib
import sys

try:
    import numpy as np
    import safetensors
    import torch
    import transformers
    from safetensors.numpy import save_file
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

TEXTS = pathlib.Path(__file__).parents[2] / "tests/model/texts"
POSITIONS, TOP, SAMPLE = 64, 16, 128
# What chat.txt is the rendering of, with the prompt for an answer after it.
CHAT = [{"role": "system", "content": "You answer in one short sentence."},
        {"role": "user", "content": "Which is heavier, 1 kg of iron or 1 kg of wool?"},
        {"role": "assistant", "content": "Neither: both weigh the same."},
        {"role": "user", "content": "And which of them takes more room on a shelf?"}]
# Read by from_pretrained of a model or a tokenizer.
FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def open_source(source):
    """Model, tokenizer, and {file name: SHA-256} of what they were read from."""
    path = pathlib.Path(source)
    if path.is_dir():
        where, options = path, {}
        files = [path / name for name in FILES if (path / name).exists()]
    else:
        where, options, files = path.parent, {"gguf_file": path.name}, [path]
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, attn_implementation="eager",
                                                              local_files_only=True, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True, **options)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    digests = {}
    for file in files:
        with file.open("rb") as stream:
            digests[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return model.eval(), tokenizer, digests


def compute(model, tokenizer):
    """{name: array} of what the head comment says."""
    made = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    if made != (TEXTS / "chat.txt").read_text(encoding="utf-8"):
        sys.exit(f"the chat template makes another text than chat.txt: {made!r}")
    vocabulary = model.config.vocab_size
    sample = np.sort(np.random.default_rng(64).choice(vocabulary, SAMPLE, replace=False)).astype(np.int32)
    arrays = {"sample": sample}
    for file in sorted(TEXTS.glob("*.txt")):
        ids = tokenizer(file.read_text(encoding="utf-8"))["input_ids"]
        assert len(ids) >= POSITIONS, (file, len(ids))
        with torch.inference_mode():
            logits = model(torch.tensor([ids[:POSITIONS]]), use_cache=False).logits[0].float()
        top = torch.topk(logits, TOP)
        arrays |= {f"{file.stem}.ids": np.array(ids, np.int32),
                   f"{file.stem}.top.ids": top.indices.numpy().astype(np.int32),
                   f"{file.stem}.top": top.values.numpy(),
                   f"{file.stem}.sample": np.ascontiguousarray(logits.numpy()[:, sample]),
                   f"{file.stem}.logsumexp": torch.logsumexp(logits.double(), -1).float().numpy(),
                   f"{file.stem}.all": logits.numpy()}
    return arrays


def write(model, tokenizer, digests, output):
    arrays = {name: array for name, array in compute(model, tokenizer).items() if not name.endswith(".all")}
    versions = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    save_file(arrays, output, {"made by": "tools/dev/transformers_logits.py", "versions": json.dumps(versions),
                               "sha256": json.dumps(digests, sort_keys=True)})
    print(f"{output}: {pathlib.Path(output).stat().st_size} bytes")


def check(model, tokenizer, path, tolerance):
    arrays, worst = compute(model, tokenizer), 0.0
    with safetensors.safe_open(path, "numpy") as file:
        expected = {name: file.get_tensor(name) for name in file.keys()}
    assert np.array_equal(expected["sample"], arrays["sample"])
    for text in sorted(name[:-4] for name in expected if name.endswith(".ids") and name.count(".") == 1):
        if not np.array_equal(expected[f"{text}.ids"], arrays[f"{text}.ids"]):
            sys.exit(f"{text}: other tokens: {arrays[f'{text}.ids']} in place of {expected[f'{text}.ids']}")
        got = np.take_along_axis(arrays[f"{text}.all"], expected[f"{text}.top.ids"], -1)
        for what, values in (("top", got), ("sample", arrays[f"{text}.sample"]),
                             ("logsumexp", arrays[f"{text}.logsumexp"])):
            difference = float(np.abs(values - expected[f"{text}.{what}"]).max())
            print(f"{text}.{what}: greatest difference {difference:.3g}")
            worst = max(worst, difference)
    print(f"greatest difference {worst:.3g}, allowed {tolerance:.3g}")
    return 0 if worst <= tolerance else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["write", "check"])
    parser.add_argument("source", help="a GGUF file or a Hugging Face directory")
    parser.add_argument("file", nargs="?", help="of expected values, for check")
    parser.add_argument("-o", "--output", help="the file to write")
    parser.add_argument("--tolerance", type=float, default=2e-3, help="greatest difference of a logit (2e-3)")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if (arguments.output if arguments.command == "write" else arguments.file) is None:
        parser.error("write needs -o FILE, check needs FILE")
    torch.set_num_threads(arguments.threads)
    model, tokenizer, digests = open_source(arguments.source)
    if arguments.command == "write":
        write(model, tokenizer, digests, arguments.output)
        return 0
    return check(model, tokenizer, arguments.file, arguments.tolerance)


if __name__ == "__main__":
    sys.exit(main())
