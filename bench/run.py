#!/usr/bin/env python3
"""Compares compiled models with llama.cpp on this machine: decode, prefill, start to first token, peak memory; and
measures our compiler: compile time, quantization. bench/README.md says how to run it and what the columns mean."""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

from compare import models, pairs, report
from compare.processes import Failed, run

ROOT = Path(__file__).resolve().parent.parent
QUIET_LOAD = 0.3  # load average over a minute beyond which a machine is not quiet


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, metavar="GGUF", help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--qopt", default=ROOT / "build/release/bin/qopt", help="our compiler")
    parser.add_argument("--programs", default=ROOT / "build/bench/bin", help="probe and driver, built by bench/CMakeLists.txt")
    parser.add_argument("--peer", default=ROOT / "build/peers", help="the --cache of peers/setup_llama_cpp.sh")
    parser.add_argument("--work", default=ROOT / "build/bench/work", help="where models are made")
    parser.add_argument("--schemes", help="comma-separated; default: all of compare/models.py")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--context", type=int, default=1024, help="tokens that the KV cache is made for, on both sides")
    parser.add_argument("--prompt", default="The capital of France is", help="of the first token")
    parser.add_argument("--compiles", type=int, default=3, help="times that compiling and quantizing are timed")
    parser.add_argument("--foreign", type=float, default=0.1, help="CPUs that others may use during a pair")
    parser.add_argument("--noisy", action="store_true", help="measure although others use the machine; the result says so")
    parser.add_argument("-o", "--output", help="default: bench/results/MODEL-DATE.json; with --noisy: none")
    return parser.parse_args()


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) // 1024
    return {"cpu": names[0] if names else platform.machine(), "cpus": os.cpu_count(), "memory_mib": memory,
            "kernel": platform.release()}


def commit():
    said = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    return said.stdout.strip() or "unknown"


def timed(action, times, amount=None):
    """Calls `action` -> (path, Finished) several times."""
    finished = [action()[1] for _ in range(times)]
    return {"seconds": statistics.median(one.seconds for one in finished),
            "all_seconds": [one.seconds for one in finished],
            "peak_mib": max(one.peak_kib for one in finished) / 1024}


def main():
    options = arguments()
    load = os.getloadavg()[0]
    if load > QUIET_LOAD and not options.noisy:
        raise SystemExit(f"the load average is {load:.2f}: expected at most {QUIET_LOAD}, so that nothing else is measured.\n"
                         "Wait, or say --noisy for a try whose figures are not for publication.")
    probe, driver = Path(options.programs, "qopt-bench-probe"), Path(options.programs, "qopt-bench-driver")
    llama = Path(options.peer, "llama-driver")
    for program, how in [(options.qopt, "cmake --build --preset release"),
                         (probe, "cmake -S bench -B build/bench -G Ninja && cmake --build build/bench"), (driver, "the same"),
                         (llama, "bench/peers/setup_llama_cpp.sh"), (options.model, "docs/Benchmarks.md")]:
        if not Path(program).exists():
            raise SystemExit(f"missing: {program}; made by: {how}")
    Path(options.work).mkdir(parents=True, exist_ok=True)
    known = {scheme: (peer, bound) for scheme, peer, bound in models.PAIRINGS}
    schemes = options.schemes.split(",") if options.schemes else list(known)
    if unknown := [scheme for scheme in schemes if scheme not in known]:
        raise SystemExit(f"unknown schemes {unknown}; known: {', '.join(known)}")
    threads = [int(count) for count in options.threads.split(",")]

    result = {
        "format": 1,
        "command": shlex.join(Path(part).name if part.startswith("/") else part for part in sys.argv),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "noisy": options.noisy,
        "load_average_before": load,
        "machine": machine(),
        "qopt": {**run([driver, "info"]).json(), "commit": commit()},
        "peer": run([llama, "info"]).json(),
        "model": {"file": Path(options.model).name, "bytes": Path(options.model).stat().st_size},
        "settings": {key: getattr(options, key) for key in ("pairs", "prompt_tokens", "generate", "context", "prompt")},
        "comparisons": [], "compile": {}, "quantize": {},
    }
    print(f"peer: {result['peer']['name']}, {result['peer']['compiler']}\n  {result['peer']['system_info']}", file=sys.stderr)

    ours, peer = models.Qopt(options.qopt, options.model, options.work), models.Llama(llama, options.model, options.work)
    imported = ours.imported()
    peers = {}
    for form in sorted({known[scheme][0] for scheme in schemes}):
        print(f"quantizing with the peer: {form}", file=sys.stderr)
        result["quantize"][form] = timed(lambda: peer.quantize(form, os.cpu_count()), options.compiles)
        peers[form] = Path(options.work, f"peer-{form}.gguf")
    artifacts = {}
    for scheme in schemes:
        print(f"quantizing and compiling: {scheme}", file=sys.stderr)
        result["quantize"][scheme] = timed(lambda: ours.quantize(imported, scheme), options.compiles)
        quantized = Path(options.work, scheme.replace(":", "-") + ".mlir")
        result["compile"][scheme] = timed(lambda: ours.compile(quantized), options.compiles)
        artifacts[scheme] = quantized.with_suffix(".qopt")
        result["compile"][scheme]["artifact_bytes"] = artifacts[scheme].stat().st_size
    any_bits = models.of_gguf(options.model)
    for row in result["quantize"].values():
        row["source_mb_s"] = result["model"]["bytes"] * 1e-6 / row["seconds"]
        row["f32_mb_s"] = any_bits.elements * 4e-6 / row["seconds"]

    for count in threads:
        for scheme in schemes:
            form, bound = known[scheme]
            print(f"{scheme} against {form}, {count} thread{'s' * (count > 1)}", file=sys.stderr)
            measured = pairs.alternate(probe, (driver, artifacts[scheme]), (llama, peers[form]), count, options)
            bits = {"ours": models.of_overlay(artifacts[scheme].with_suffix(".safetensors")), "peer": models.of_gguf(peers[form])}
            fractions = {
                side: {"decode_of_read": pairs.fraction_of_probe(
                           measured["pairs"], side, "decode", "read_gb_s", count, bits[side].bytes),
                       "prefill_of_peak": pairs.fraction_of_probe(
                           measured["pairs"], side, "prefill", bound if side == "ours" else "int8_dot_gops", count,
                           2 * bits[side].body_elements)}
                for side in bits}
            result["comparisons"].append({
                "scheme": scheme, "peer": form, "threads": count, "prefill_bound": bound,
                "bits": {side: vars(bits[side]) for side in bits},
                "summary": pairs.summary(measured["pairs"]), "fractions": fractions, **measured})
    result["load_average_after"] = os.getloadavg()[0]

    print(report.markdown(result))
    output = options.output
    if not output and not options.noisy:
        output = ROOT / "bench/results" / f"{Path(options.model).stem}-{result['date'][:10]}.json"
    if output:
        temporary = Path(str(output) + ".partial")
        temporary.write_text(json.dumps(result, indent=1) + "\n")
        temporary.replace(output)
        print(f"written: {output}", file=sys.stderr)
    return 0 if report.floor_holds(result) else 4


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        raise SystemExit(str(failure))
