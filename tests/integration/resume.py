#!/usr/bin/env python3
"""Kills quantizations at random moments (SIGKILL) and goes on with them: the bytes of an undisturbed run, every time.

Usage: resume.py --qopt QOPT --work DIR [--kills 50] [--seed 0]

Two recipes take turns, on a small model: one that calibrates, scales by AWQ and follows the quantized model with GPTQ, and
one on statistics that are there. A run is killed and begun again until it ends by itself; its files are compared, and the
next run begins. Enough of them must have found finished work: fresh starts alone would say nothing.
"""
import argparse
import pathlib
import random
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE, TEXT = ROOT / "tests" / "fixtures" / "llama-tied", ROOT / "LICENSE"
SAMPLES = ["--samples", "20", "--length", "64"]
RECIPE = "version: 1\nscheme: w4a8:g32:asym\nmethod: gptq\nawq: {}\ngptq: {inputs: %s}\n"


class Quantization:
    """One command, what it writes when nothing happens to it, and how long that takes."""

    def __init__(self, qopt, work, name, inputs, calibration):
        self.folder, self.kept = work / name, work / f"{name}.kept"
        self.folder.mkdir()
        recipe = work / f"{name}.yaml"
        recipe.write_text(RECIPE % inputs)
        self.command = [qopt, "quantize", str(work / "model.mlir"), "--recipe", str(recipe), *calibration,
                        "--no-gates", "--resume", str(self.kept), "-o", str(self.folder / "q.mlir")]
        start = time.monotonic()
        subprocess.run(self.command, check=True, stderr=subprocess.DEVNULL)
        self.seconds = time.monotonic() - start
        self.wanted = self.take()

    def take(self):
        """The files that a run has left, which are removed. What is killed while it writes leaves *.partial."""
        files = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.suffix != ".partial"}
        for path in self.folder.iterdir():
            path.unlink()
        return files

    def run(self, kill_after=None):
        """Whether it has ended by itself, and what it has said."""
        process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
            return False, said
        if process.returncode != 0:
            sys.exit(f"resume.py: {' '.join(self.command)}\nended with {process.returncode}:\n{said}")
        return True, said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--qopt", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    subprocess.run([arguments.qopt, "import", str(FIXTURE), "-o", str(work / "model.mlir")], check=True)
    subprocess.run([arguments.qopt, "calibrate", str(work / "model.mlir"), "--text", str(TEXT), *SAMPLES, "-o",
                    str(work / "statistics")], check=True, stderr=subprocess.DEVNULL)
    kinds = [Quantization(arguments.qopt, work, "archive", "statistics", ["--statistics", str(work / "statistics")]),
             Quantization(arguments.qopt, work, "follow", "quantized", ["--text", str(TEXT), *SAMPLES])]

    random_numbers = random.Random(arguments.seed)
    kills = runs = resumed = 0
    while kills < arguments.kills:
        kind = kinds[runs % 4 == 3]  # the slower one every fourth time
        while True:
            # At any time, and every other time late, when there is finished work to be found.
            ended, said = kind.run(random_numbers.uniform(kills % 2 * kind.seconds / 2, kind.seconds))
            resumed += "finished pieces in" in said
            if ended:
                break
            if (kind.folder / "q.mlir").exists() and not (kind.folder / "q.safetensors").exists():
                sys.exit("resume.py: an IR file without its archive")
            kills += 1
            if kills == arguments.kills:
                _, said = kind.run()
                resumed += "finished pieces in" in said
                break
        runs += 1
        if (got := kind.take()) != kind.wanted:
            sys.exit(f"resume.py: after {kills} kills, {sorted(got)} differ from an undisturbed run's {sorted(kind.wanted)}")
        if kind.kept.exists():
            sys.exit(f"resume.py: {kind.kept} is left after the end")
    print(f"{kills} kills, {runs} runs ended, all with the same bytes; {resumed} processes found finished work")
    if resumed < arguments.kills // 4:
        sys.exit("resume.py: too few processes found finished work: the kills come at the wrong times")


main()
