#!/usr/bin/env python3
"""One part of the comparison with Hugging Face transformers; see CMakeLists.txt. Exit code 77: it cannot run here.

Usage: transformers_model.py --qopt Q --expected-logits E --gguf MODEL --work DIR [--transformers PYTHON] PART

  logits           the compiled original and the reference against transformers reading the same GGUF file; token ids
  export-original  the exported directory is, to the byte, what transformers has read and given the same logits for
  export-w4a16     likewise at 4 bits; the compiled model against what transformers made of the exported one
  live             transformers, if PYTHON has it, reads exports made now: logits, token ids, perplexity and KL

The expected values are files of tools/dev/transformers_logits.py. `make` of whole_model.py has made DIR.
"""
import argparse
import hashlib
import json
import pathlib
import shutil
import struct
import subprocess
import sys

from whole_model import run

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
# Greatest difference of a logit of SmolLM2, whose logits go up to 40. f32 on both sides: only the order of sums differs;
# seen: 1.7e-4 compiled, 6e-5 the reference.
F32 = 2e-3
# A16 rounds the input of each of 211 linears to bf16, by up to 2^-9 of itself, which transformers does not do here.
# Seen: 0.58; transformers with its inputs rounded alike moves as far from itself. That the weights are the same is shown by
# w4a32, the same codes and scales with f32 activations, within F32.
BF16_ACTIVATIONS = 1.0


def read_expected(path):
    """The token ids of each text, and the digests of the files that transformers read."""
    data = path.read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + size])
    ids = {}
    for name, entry in header.items():
        if name.endswith(".ids") and name.count(".") == 1:
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            ids[name[:-4]] = list(struct.unpack(f"<{(end - begin) // 4}i", data[begin:end]))
    assert ids
    return ids, json.loads(header["__metadata__"]["sha256"])


def check_tokens(arguments, source, expected):
    for name, ids in read_expected(expected)[0].items():
        with (HERE / f"texts/{name}.txt").open("rb") as text:
            done = subprocess.run([arguments.qopt, "tokenize", source, "--text", "-"], stdin=text, capture_output=True,
                                  text=True, check=True)
        if [int(word) for word in done.stdout.split()] != ids:
            sys.exit(f"{name}: expected the tokens of transformers, {ids}, but got {done.stdout}")
    print(f"{source}: the same token ids")


def export(arguments, name):
    """Exports a model to a directory of its own name."""
    folder = arguments.work / f"{name}-hf"
    shutil.rmtree(folder, ignore_errors=True)
    run(arguments.qopt, "export", arguments.work / f"{name}.mlir", "--to", "hf", "-o", folder)
    return folder


def check_export(arguments, name):
    """That transformers has seen these very files."""
    expected = HERE / f"fixtures/smollm2-{name}.safetensors"
    folder = export(arguments, name)
    digests = read_expected(expected)[1]
    for file in sorted(folder.iterdir()):
        with file.open("rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        if digests.get(file.name) != digest:
            sys.exit(f"{file.name}: expected SHA-256 {digests.get(file.name)}, but got {digest}: transformers has not seen "
                     "what export writes now. If it is meant to be written, run tools/dev/transformers_logits.py again")
        print(f"{file.name}: as transformers read it")
    check_tokens(arguments, folder, expected)
    shutil.rmtree(folder)


def check_logits(arguments, name, model, tolerance):
    print(f"{model}: " + run(arguments.expected_logits, HERE / f"fixtures/smollm2-{name}.safetensors",
                             arguments.work / model, tolerance), end="")


def logits(arguments):
    check_logits(arguments, "original", "original.qopt", F32)
    check_logits(arguments, "original", "original.mlir", F32)
    check_tokens(arguments, arguments.gguf, HERE / "fixtures/smollm2-original.safetensors")


def make_w4a32(arguments):
    """The codes of w4a16 with f32 activations."""
    run(arguments.qopt, "quantize", arguments.work / "original.mlir", "--scheme", "w4a32:g64", "-o",
        arguments.work / "w4a32.mlir")
    run(arguments.qopt, "compile", arguments.work / "w4a32.mlir", "--target", "native", "-o", arguments.work / "w4a32.qopt")


def export_w4a16(arguments):
    check_export(arguments, "w4a16")
    make_w4a32(arguments)
    check_logits(arguments, "w4a16", "w4a32.qopt", F32)
    check_logits(arguments, "w4a16", "w4a16.qopt", BF16_ACTIVATIONS)


def live(arguments):
    def script(name, *options):
        print(run(arguments.transformers, ROOT / f"tools/dev/{name}.py", *options), end="")

    original, quantized = export(arguments, "original"), export(arguments, "w4a16")
    run(arguments.qopt, "import", ROOT / "tests/fixtures/llama-sharded", "-o", arguments.work / "sharded.mlir")
    script("transformers_logits", "check", original, HERE / "fixtures/smollm2-original.safetensors")
    script("transformers_logits", "check", quantized, HERE / "fixtures/smollm2-w4a16.safetensors")
    sharded = export(arguments, "sharded")
    script("transformers_logits", "check", sharded, ROOT / "tests/fixtures/expected-llama-sharded.safetensors",
           "--tolerance", 1e-5)

    make_w4a32(arguments)
    text, said = arguments.work / "text.md", arguments.work / "eval.json"
    text.write_bytes((ROOT / "docs/CommandLine.md").read_bytes())
    said.write_text(run(arguments.qopt, "eval", arguments.work / "w4a32.qopt", "--text", text, "--against",
                        arguments.work / "original.qopt", "--window", 512, "--windows", 2, "--json"), encoding="utf-8")
    script("transformers_eval", quantized, original, "--text", text, "--windows", 2, "--eval", said)
    for folder in (original, quantized, sharded):
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--qopt", "--expected-logits", "--gguf"):
        parser.add_argument(option, required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--transformers", default="")
    parser.add_argument("part")
    arguments = parser.parse_args()
    if not arguments.gguf or not pathlib.Path(arguments.gguf).is_file():
        print("SKIP: no model; ./setup.sh model fetches it, and -DQOPT_TEST_GGUF=PATH names it")
        return 77
    if arguments.part == "live" and not arguments.transformers:
        print("SKIP: -DQOPT_TEST_TRANSFORMERS_PYTHON=PATH names a Python with transformers and torch")
        return 77
    {"logits": logits, "export-original": lambda a: check_export(a, "original"), "export-w4a16": export_w4a16,
     "live": live}[arguments.part](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
