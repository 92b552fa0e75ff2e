"""What the peers' scripts share: they read the same tokens, and say what they were, what they were told and what it cost.

A script runs in its peer's own virtual environment, so it knows nothing of qopt and nothing of the other peers.
"""

import argparse
import importlib.metadata
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np


def arguments(doc: str, rows: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a Hugging Face directory in f32, or the GGUF file of one")
    parser.add_argument("--tokens", type=Path, required=True, help="calibration windows, i32 [windows, tokens], .npy")
    parser.add_argument("--row", choices=rows, required=True, help="the settings to take")
    parser.add_argument("--seed", type=int, required=True, help="of whatever the peer draws itself")
    parser.add_argument("--out", type=Path, required=True, help="a folder for what the peer saves, and peer.json")
    parser.add_argument("--windows", type=int, help="only the first so many: to try the script, not for results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def tokens(options: argparse.Namespace) -> np.ndarray:
    """[windows, tokens], i64. Where fewer are asked for, they are taken evenly: the texts are one behind the other."""
    windows = np.load(options.tokens)
    if windows.ndim != 2 or windows.dtype != np.int32:
        raise SystemExit(f"{options.tokens}: expected i32 [windows, tokens], but got {windows.dtype} {list(windows.shape)}\n"
                         "next: let bench/accuracy/run.py write it")
    if options.windows is not None:
        spread = np.linspace(0, len(windows) - 1, options.windows).astype(int)
        windows = windows[spread]
    return windows.astype(np.int64)


def measured(options: argparse.Namespace, packages: Sequence[str], settings: Mapping[str, Any], patches: Sequence[str],
             quantize: Callable[[], None]) -> int:
    """Runs `quantize`, which saves to OUT/model, and writes OUT/peer.json beside it. Seconds leave importing torch out."""
    started = time.monotonic()
    quantize()
    seconds = time.monotonic() - started
    said = {"versions": {name: importlib.metadata.version(name) for name in packages}, "python": sys.version.split()[0],
            "settings": dict(settings), "patches": list(patches), "windows": options.windows, "seed": options.seed,
            "seconds": seconds, "cpus": len(os.sched_getaffinity(0)),
            "peak_kib": max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))}
    partial = options.out / "peer.json.partial"
    partial.write_text(json.dumps(said, indent=1, default=str) + "\n", encoding="utf-8")
    partial.replace(options.out / "peer.json")
    return 0
