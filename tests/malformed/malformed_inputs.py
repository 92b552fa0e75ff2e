"""Every malformed input that we know of, what is run on it, and what must come of it: the exit code, the message in its parts,
nothing left behind, under 100 ms beyond the program's start and 256 MiB. The tables are in *_cases.py; docs/Errors.md has the rules.

    malformed_inputs.py --qopt … --qopt-run … --fixtures tests/fixtures --base B --work W GROUP…
    GROUP: make (the sound models that others are broken copies of, into B), or a table's name; --only TEXT runs some cases,
    --show prints every message.
"""
import argparse
import pathlib
import platform
import shutil
import subprocess
import sys

import artifact_cases
import check
import gguf_cases
import huggingface_cases
import recipe_cases
import tokenizer_cases
import usage_cases
import weight_cases

GROUPS = {
    "huggingface": huggingface_cases,
    "gguf": gguf_cases,
    "tokenizer": tokenizer_cases,
    "weights": weight_cases,
    "recipe": recipe_cases,
    "artifact": artifact_cases,
    "usage": usage_cases,
}


def make(arguments):
    """The sound models. Their IR names the checkpoint beside it, as copies of both do."""
    base, fixtures = pathlib.Path(arguments.base), pathlib.Path(arguments.fixtures)
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    shutil.copytree(fixtures / "llama-tied", base / "llama-tied")
    shutil.copyfile(fixtures / "llama-tiny.gguf", base / "llama-tiny.gguf")
    (base / "text").write_text("A text. " * 1000)
    for words in (
        "import llama-tied -o model.mlir",
        "import llama-tiny.gguf -o gguf.mlir",
        "quantize model.mlir --scheme w4a8:g32 -o q.mlir",
        "compile q.mlir --target generic -o model.qopt",
        f"compile q.mlir --target {arguments.foreign} -o other.qopt",
        "calibrate model.mlir --text text --samples 16 --length 32 --samples-alone -o stats",
    ):
        subprocess.run([arguments.qopt, *words.split()], cwd=base, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--qopt", "--qopt-run", "--fixtures", "--base", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--foreign", default="generic-aarch64" if platform.machine() == "x86_64" else "generic-x86-64", help="a target that this processor cannot run")
    parser.add_argument("--sanitizers", action="store_true", help="the tools are slow and large: no limits but the answer")
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("groups", nargs="+", choices=["make", *GROUPS])
    arguments = parser.parse_args()
    bench, failed, count, names = check.Bench(arguments), 0, 0, set()
    for group in arguments.groups:
        if group == "make":
            make(arguments)
            continue
        for case in GROUPS[group].cases():
            assert case.name not in names, f"two cases are called {case.name!r}"
            names.add(case.name)
            if arguments.only not in case.name:
                continue
            complaints, message = bench.check(case)
            count += 1
            failed += bool(complaints)
            if complaints or arguments.show:
                print(f"{'FAILED' if complaints else 'ok'}: {case.name}: {case.command}")
                print("".join(f"  {complaint}\n" for complaint in complaints) + message)
    if count:
        (seconds, slow), (peak, large) = bench.slowest, bench.greatest
        print(f"{count - failed} of {count} malformed inputs are refused as they should; slowest {seconds * 1e3:.0f} ms ({slow}), "
              f"greatest {peak / (1 << 20):.0f} MiB ({large}); processor time for {bench.under_load}, the machine being busy")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
