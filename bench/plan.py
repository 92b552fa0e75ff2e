#!/usr/bin/env python3
"""What `qopt plan` foresees against what `qopt quantize` takes: seconds and memory of each stage, in one run.

    bench/plan.py MODEL.mlir --text FILE … --recipe RECIPE --recipe RECIPE …
    bench/plan.py MODEL.mlir --text FILE … --recipe RECIPE -- --samples 32

Prints a table in Markdown. What stands after `--` goes to both commands. Memory of a stage is the largest that it and those
before it are foreseen to take, because the kernel keeps the peak of a process. A stage is left out where neither is above
SECONDS. Nothing is held against a bound: plans are estimates, and this says how good.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from compare import processes

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 0.1
# The plan's names of stages, where passes have others.
PASSES = {"gptq": "quantize-gptq", "rtn": "quantize-rtn"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qopt", type=Path, default=ROOT / "build/release/bin/qopt")
    parser.add_argument("model", type=Path, help="an IR file")
    parser.add_argument("--text", action="append", default=[], help="to calibrate on")
    parser.add_argument("--recipe", action="append", required=True)
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:end])
    options.more = words[end + 1:]
    return options


def calibrates(options, recipe):
    """Whether a recipe is refused without statistics or texts."""
    try:
        processes.run([options.qopt, "plan", options.model, "--recipe", recipe])
    except processes.Failed:
        return True
    return False


def measure(options, recipe):
    # Round to nearest refuses texts, which it would not read.
    texts = [word for text in options.text for word in ("--text", text)] if calibrates(options, recipe) else []
    said = [options.model, "--recipe", recipe, *texts, *options.more]
    plan = processes.run([options.qopt, "plan", *said, "--json"]).json()
    with tempfile.TemporaryDirectory(dir=options.model.parent) as folder:
        report = Path(folder) / "report.json"
        foreign = processes.Foreign()
        processes.run([options.qopt, "quantize", *said, "-o", Path(folder) / "q.mlir", "--report", report])
        others = foreign.cpus()
        took = {stage["name"]: stage for stage in json.loads(report.read_text())["stages"]}
    rows, planned_peak, planned, taken = [], 0, 0.0, 0.0
    for stage in plan["stages"]:
        got = took.get(PASSES.get(stage["name"], stage["name"]), {"seconds": 0, "peak_resident_bytes": 0})
        planned_peak = max(planned_peak, stage["peak_bytes"])
        planned, taken = planned + stage["seconds"], taken + got["seconds"]
        if max(stage["seconds"], got["seconds"]) > SECONDS:
            rows.append((stage["name"], stage["seconds"], got["seconds"], planned_peak, got["peak_resident_bytes"]))
    rows.append(("all", planned, taken, planned_peak, max(stage["peak_resident_bytes"] for stage in took.values())))
    return rows, others


def main():
    options = arguments()
    print("| recipe | stage | planned s | took s | planned/took | planned MB | peak MB | planned/peak |")
    print("|---|---|---|---|---|---|---|---|")
    for recipe in options.recipe:
        rows, others = measure(options, recipe)
        for name, planned, taken, memory, peak in rows:
            ratios = [f"{a / b:.2f}" if b > 0 else "-" for a, b in ((planned, taken), (memory, peak))]
            print(f"| {Path(recipe).name} | {name} | {planned:.1f} | {taken:.1f} | {ratios[0]} | {memory / 1e6:.0f} | "
                  f"{peak / 1e6:.0f} | {ratios[1]} |", flush=True)
        if others > 0.1:
            print(f"{recipe}: others used {others:.1f} CPUs meanwhile", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
