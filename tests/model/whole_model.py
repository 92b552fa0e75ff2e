#!/usr/bin/env python3
"""One part of the test of a whole model; see CMakeLists.txt. Exit code 77: there is no model to test.

Usage: whole_model.py --qopt Q --qopt-run R --logits L --gguf MODEL --work DIR [OPTIONS] PART

  make            import SmolLM2, quantize it by some schemes, compile all of them
  logits-SCHEME   the artifact's logits against the reference evaluator on the IR
  folded          random pairs of scales, folded: how many, and the logits of the model without them
  answers         fixed prompts: expected words; the same tokens at 1, 2, 4 and 8 threads
  size            the IR holds no weights and is short; artifacts have the size that their bits say
  oracle          codes, scales and zero points of what quantize writes equal the independent quantizer's in numpy
  aarch64-SCHEME  for generic-aarch64: NEON in the innermost loops of its kernels, and, run by --emulator with
                  --emulated-driver, the logits of generic-x86-64 run by --driver
"""
import argparse
import json
import math
import pathlib
import shlex
import subprocess
import sys
import tempfile

import neon

# With the embedding in the same form, so that one comparison takes in every matrix.
ORACLE_SCHEMES = [("w4a8:g64", "w4:g64"), ("w4a16:g32:asym", "w4:g32:asym"), ("w8a8:channel", "w8:channel"),
                  ("w3a16:g64", "w3:g64"), ("w2a8:g32:asym", "w2:g32:asym"), ("w5a16:g64", "w5:g64"), ("w6a8:g32:asym", "w6:g32:asym")]
SCHEMES = ["w8a8", "w4a8", "w4a16", "w3a8", "w2a32"]
# "The capital of France is Paris. The capital of Italy is"
PROMPT = [504, 3575, 282, 4649, 314, 7042, 30, 378, 3575, 282, 7158, 314]
# Largest difference of logits, relative to the largest logit, over PROMPT. f32: errors of 2^-24 in each sum, through 30
# layers. bf16 activations: a difference of one ulp in f32 can move an activation to its neighbour, 2^-8 of itself. i8
# activations: to a neighbour that is 1/127 of its token's largest away, and this model has tokens whose largest value is a
# hundred times the typical one: the reference itself moves by 0.05 when attention's scale changes by 2e-7 of itself. So a
# prompt can only show gross faults there, and single tokens, whose attention is exact, are held to a tight tolerance.
TOLERANCE = {"original": 1e-4, "w8a8": 0.3, "w4a8": 0.3, "w4a16": 4e-2, "w3a8": 0.3, "w2a32": 1e-4}
SINGLE_TOKENS = [504, 3575, 7042, 1]
SINGLE_TOLERANCE = {"original": 1e-4, "w8a8": 1e-3, "w4a8": 1e-3, "w4a16": 1e-2, "w3a8": 1e-3, "w2a32": 1e-4}
# Prompts, a word that the greedy answer contains, and of which models it is asked: rounding this one to the nearest of 4
# bits costs it some of what it knows, and to fewer all of it.
EIGHT_BITS, ALL = ["original", "w8a8"], ["original", "w8a8", "w4a8", "w4a16"]
ANSWERS = [("The capital of France is", "Paris", ALL), ("The opposite of hot is", "cold", ALL),
           ("A baby cat is called a", "kitten", EIGHT_BITS)]


def run(*command):
    """What the command printed; the test fails if the command does."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} from: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def make(arguments, work):
    work.mkdir(parents=True, exist_ok=True)
    run(arguments.qopt, "import", arguments.gguf, "-o", work / "original.mlir")
    for scheme in SCHEMES:
        run(arguments.qopt, "quantize", work / "original.mlir", "--scheme", f"{scheme}:g64", "-o", work / f"{scheme}.mlir")
    for name in ["original", *SCHEMES]:
        run(arguments.qopt, "compile", work / f"{name}.mlir", "--target", "native", "-o", work / f"{name}.qopt")
        print(f"{name}.qopt: {(work / f'{name}.qopt').stat().st_size / 1e6:.1f} MB")


def logits(arguments, work, name):
    model = [work / f"{name}.mlir", work / f"{name}.qopt"]
    print("prompt: " + run(arguments.logits, *model, TOLERANCE[name], *PROMPT), end="")
    for token in SINGLE_TOKENS:
        print(f"token {token}: " + run(arguments.logits, *model, SINGLE_TOLERANCE[name], token), end="")


def folded(arguments, work):
    """30 layers of four pairs; the one before the head is cancelled, since the head is tied."""
    for file, passes, count in [
        ("pairs", f"--random-scales=directory={work} overlay={work / 'scales.safetensors'}", "121 pairs-inserted"),
        ("folded", f"--fold-scales=directory={work} unfoldable=cancel", "120 pairs-folded, 1 pairs-cancelled, 0 scales-folded"),
    ]:
        source = work / ("original.mlir" if file == "pairs" else "pairs.mlir")
        done = subprocess.run([arguments.qopt, source, passes, "--pass-counts", "-o", work / f"{file}.mlir"], capture_output=True,
                              text=True, check=False)
        if done.returncode or count not in done.stderr:
            sys.exit(f"expected {count}, but got exit code {done.returncode} and:\n{done.stderr}")
        print(count)
    run(arguments.qopt, "compile", work / "folded.mlir", "--target", "native", "-o", work / "folded.qopt")
    print(run(arguments.logits, work / "original.mlir", work / "folded.qopt", TOLERANCE["original"], *PROMPT), end="")
    (work / "folded.qopt").unlink()


def answers(arguments, work):
    problems = []
    for name in ["original", *SCHEMES]:
        for prompt, word, expected in ANSWERS:
            tokens = {}
            for threads in (1, 2, 4, 8):
                answer = json.loads(run(arguments.qopt_run, work / f"{name}.qopt", "--prompt", prompt, "--max-tokens",
                                        12, "--temperature", 0, "--threads", threads, "--json"))
                tokens[threads] = answer["tokens"]
            print(f"{name}: {prompt}{answer['text']!r}")
            if len({tuple(value) for value in tokens.values()}) != 1:
                problems.append(f"{name}: '{prompt}': tokens depend on the number of threads: {tokens}")
            if name in expected and word not in answer["text"]:
                problems.append(f"{name}: '{prompt}': expected '{word}' in the answer, but got {answer['text']!r}")
    if problems:
        sys.exit("\n".join(problems))


def size(arguments, work):
    lines = (work / "original.mlir").read_text(encoding="utf-8").splitlines()
    layers = 30
    print(f"{len(lines)} lines of IR, {len(lines) / layers:.1f} a layer")
    if len(lines) > 60 * layers:
        sys.exit(f"expected at most 60 lines a layer, but got {len(lines) / layers:.1f}")
    sizes = {name: (work / f"{name}.qopt").stat().st_size for name in ["original", *SCHEMES]}
    # 106 M weights in linears, 28 M in the tied embedding; SmolLM2 has 134.5 M in all.
    if not sizes["w4a8"] < 0.75 * sizes["w8a8"] < 0.75 * 0.4 * sizes["original"]:
        sys.exit(f"expected 4 bits to take less than 8, and 8 less than 32, but got {sizes}")


def oracle(arguments, work):
    """The oracle reads the dequantized checkpoint that `qopt export` writes, in f32: what the quantizer saw."""
    if subprocess.run([arguments.python, "-c", "import numpy"], capture_output=True, check=False).returncode:
        print(f"SKIP: {arguments.python} has no numpy")
        return 77
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = pathlib.Path(name)
        run(arguments.qopt, "export", work / "original.mlir", "--to", "hf", "-o", folder / "hf")
        for scheme, head in ORACLE_SCHEMES:
            run(arguments.qopt, "quantize", work / "original.mlir", "--scheme", scheme, "--head", head, "-o", folder / "q.mlir")
            compared = run(arguments.python, arguments.oracle, "compare", folder / "hf" / "model.safetensors",
                           folder / "q.safetensors", "--scheme", scheme)
            print(f"{scheme}: {compared}", end="")
            # 30 layers of seven linears, and the embedding; scales beside codes, and zero points where there are any.
            tensors = (30 * 7 + 1) * (3 if "asym" in scheme else 2)
            if f"{tensors} tensors compared, 0 differ" not in compared:
                sys.exit(f"expected {tensors} tensors to be compared")
    return 0


def driver_logits(command, model, target, tokens):
    """The logits after `tokens`, as qopt-logits prints them."""
    printed = run(*command, model, target, 2, 1, *tokens).split("\n", 2)
    if printed[0] != target:
        sys.exit(f"expected the code of {target} to run, but got that of {printed[0]}")
    return [float(value) for value in printed[2].split()]


def aarch64(arguments, work, name):
    """The two differ in how often a product and a sum are rounded (NEON's multiply-add: once) and in the C library's sin and
    cos by an ulp: differences of f32's rounding, which grow as TOLERANCE says once they move a rounded activation."""
    if not arguments.emulator:
        print("SKIP: qemu-aarch64 or the cross libraries are missing (cmake/Aarch64Tests.cmake)")
        return 77
    quantized, object_file = work / f"{name}.mlir", work / f"{name}-aarch64.o"
    run(arguments.qopt, "compile", quantized, "--target", "generic-aarch64", "--emit", "obj", "-o", object_file)
    neon.check(run(arguments.objdump, "-d", "--no-show-raw-insn", object_file))
    commands = {"generic-x86-64": [arguments.driver],
                "generic-aarch64": [*shlex.split(arguments.emulator), arguments.emulated_driver]}
    for target in commands:
        run(arguments.qopt, "compile", quantized, "--target", target, "-o", work / f"{name}-{target}.qopt")
    for tokens in [[SINGLE_TOKENS[0]], [SINGLE_TOKENS[1]], PROMPT]:
        expected, got = [driver_logits(command, work / f"{name}-{target}.qopt", target, tokens)
                         for target, command in commands.items()]
        largest = max(map(abs, expected))
        apart = [abs(a - b) for a, b in zip(expected, got, strict=True)]
        worst = math.nan if any(map(math.isnan, apart)) else max(apart) / largest
        allowed = SINGLE_TOLERANCE[name] if len(tokens) == 1 else TOLERANCE[name]
        print(f"{len(tokens)} tokens: greatest difference {worst:.3g} of the largest logit, allowed {allowed:.3g}")
        if not worst <= allowed:  # also where it is NaN
            sys.exit("generic-aarch64 and generic-x86-64 disagree")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--qopt", "--qopt-run", "--logits", "--gguf", "--work"):
        parser.add_argument(option, required=True)
    for option in ("--emulator", "--emulated-driver", "--driver", "--objdump", "--python", "--oracle"):
        parser.add_argument(option, default="")
    parser.add_argument("part")
    arguments = parser.parse_args()
    if not arguments.gguf or not pathlib.Path(arguments.gguf).is_file():
        print("SKIP: no model; ./setup.sh model fetches it, and -DQOPT_TEST_GGUF=PATH names it")
        return 77
    work = pathlib.Path(arguments.work)
    if arguments.part.startswith("aarch64-"):
        return aarch64(arguments, work, arguments.part.removeprefix("aarch64-"))
    if arguments.part == "oracle":
        return oracle(arguments, work)
    if arguments.part.startswith("logits-"):
        logits(arguments, work, arguments.part.removeprefix("logits-"))
    else:
        {"make": make, "folded": folded, "answers": answers, "size": size}[arguments.part](arguments, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
