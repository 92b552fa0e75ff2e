"""Peers on all CPUs at once, one thread each: torch at two threads on two busy CPUs is three times slower than two peers at one."""

import os
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

from . import ours, peer, steps
from .settings import ROWS, SEEDLESS, Row, Work

# A peer's own libraries take the number of threads from these; qopt takes it from the CPUs that it may use.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    peer: str
    row: Row
    model: str
    seed: int

    def __str__(self) -> str:
        return f"{self.peer} {self.row.name} {self.model} seed {self.seed}"


def missing(work: Work, peers: Sequence[str], rows: Sequence[str] | None, models: Sequence[str], seeds: Sequence[int],
            texts: Sequence[str], windows: int) -> Iterable[Job]:
    """What has no current record on all of `texts`: a seed after the other, so that every row has one before any has two."""
    for seed in seeds:
        for model in models:
            for row in ROWS.values():
                for name in row.peers:
                    if name not in peers or (rows is not None and row.name not in rows) or (seed != 0 and name in SEEDLESS):
                        continue
                    if not all(peer.is_scored(work, name, row, model, seed, kind, windows) for kind in texts):
                        yield Job(name, row, model, seed)


def prepare(qopt: ours.Qopt, work: Work, peers: Sequence[str], models: Sequence[str], seeds: Sequence[int]) -> None:
    """What jobs would make at the same time otherwise: environments, references, the windows' tokens."""
    for name in peers:
        peer.install(work, name)
    for model in models:
        for seed in seeds:
            ours.calibrate(qopt, work, model, seed, sums=False)


def run(qopt: ours.Qopt, work: Work, jobs: Iterable[Job], texts: Sequence[str], windows: int, until: float) -> list[str]:
    """Runs and scores, a job on each CPU, and begins none after `until` (time.monotonic()). Gives the jobs that failed."""
    waiting, failed = deque(jobs), []
    running: dict[int, tuple[subprocess.Popen[bytes], Job]] = {}
    script = Path(__file__).resolve().parent.parent / "run.py"
    log = work.base / "lanes"
    log.mkdir(parents=True, exist_ok=True)
    free = sorted(os.sched_getaffinity(0))
    while running or (waiting and time.monotonic() < until):
        while free and waiting and time.monotonic() < until:
            job, cpu = waiting.popleft(), free.pop(0)
            common = [sys.executable, script, "--qopt", qopt.program, "--work", work.base]
            which = [job.peer, "--rows", job.row.name, "--models", job.model, "--seeds", job.seed]
            both = [[*common, "peer", *which], [*common, "score", *which, "--texts", ",".join(texts), "--windows", windows]]
            line = " && ".join(" ".join(f"'{word}'" for word in words) for words in both)
            print(f"{time.strftime('%H:%M:%S')} CPU {cpu}: {job}", file=sys.stderr, flush=True)
            with (log / f"{job.peer}-{job.row.name}-{job.model}-{job.seed}.log").open("wb") as output:
                running[cpu] = subprocess.Popen(["taskset", "-c", str(cpu), "sh", "-c", line], stdin=subprocess.DEVNULL, stdout=output,
                                                stderr=output, env=os.environ | ONE_THREAD), job
        time.sleep(1)
        for cpu, (process, job) in list(running.items()):
            if process.poll() is None:
                continue
            del running[cpu]
            free.append(cpu)
            print(f"{time.strftime('%H:%M:%S')} CPU {cpu}: {job}: {'recorded' if process.returncode == 0 else 'failed'}", file=sys.stderr,
                  flush=True)
            if process.returncode != 0:
                failed.append(f"{job} ({log}/{job.peer}-{job.row.name}-{job.model}-{job.seed}.log)")
    return failed + [f"{job} (not begun)" for job in waiting]


def report(failed: Sequence[str]) -> None:
    if failed:
        raise steps.Failed("expected a record of each, but there is none of\n  " + "\n  ".join(failed) + "\nnext: run.py fill again")
