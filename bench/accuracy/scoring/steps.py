"""Running a program once: what it cost is kept with what it was made from, and it is not run again while that is the same."""

import fcntl
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Callable, Mapping, Sequence

from compare.processes import Foreign

QUIET = 0.1  # CPUs that others may use before seconds are called noisy


class Failed(Exception):
    """A step that did not end well: what was run, where its output is, its last lines."""


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float
    peak_kib: int
    foreign_cpus: float  # that others used meanwhile

    @property
    def noisy(self) -> bool:
        return self.foreign_cpus > QUIET


def command(words: Sequence[object], log: Path, output: Path | None = None, environment: Mapping[str, str] | None = None,
            folder: Path | None = None) -> Cost:
    """Runs a program, in `folder`; standard output goes to `output` or, with the standard error, to `log`."""
    line = [str(word) for word in words]
    log.parent.mkdir(parents=True, exist_ok=True)
    print("  " + " ".join(line), file=sys.stderr)
    foreign, started = Foreign(), time.monotonic()
    with log.open("wb") as errors, (output or Path(os.devnull)).open("wb") as standard:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=standard if output else errors, stderr=errors,
                                   env=None if environment is None else os.environ | environment, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, foreign.cpus())
    if process.returncode != 0:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        raise Failed(f"expected exit code 0, but got {process.returncode}\nof: {' '.join(line)}\nin: {log}\n" + "\n".join(last))
    return cost


def total(costs: Sequence[Cost]) -> dict[str, Any]:
    """Of steps one after another."""
    return {"seconds": sum(cost.seconds for cost in costs), "cpu_seconds": sum(cost.cpu_seconds for cost in costs),
            "peak_kib": max(cost.peak_kib for cost in costs), "cpus": len(os.sched_getaffinity(0)), "noisy": any(cost.noisy for cost in costs),
            "steps": [asdict(cost) for cost in costs]}


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def recall(path: Path, key: Mapping[str, Any], needs: Sequence[Path] = ()) -> dict[str, Any] | None:
    """What was kept at `path`, if it was made from what `key` says and `needs`, the files that it left, are there."""
    if path.exists() and all(need.exists() for need in needs):
        record = read_json(path)
        if record["key"] == json.loads(json.dumps(key)):
            return record
    return None


def outdated(path: Path, key: Mapping[str, Any]) -> bool:
    """Whether nothing current is kept at `path`. What was kept of another key is removed: nobody shall take it for current."""
    if recall(path, key) is not None:
        return False
    path.unlink(missing_ok=True)
    return True


def keep(path: Path, key: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    record = json.loads(json.dumps({"key": key, **made}))
    write_json(path, record)
    return record


def once(path: Path, key: Mapping[str, Any], make: Callable[[], Mapping[str, Any]], needs: Sequence[Path] = ()) -> dict[str, Any]:
    """What `make` gave, kept at `path` with the `key` that says what it was made from. Made again where the key is another one,
    or where one of `needs` is gone."""
    record = recall(path, key, needs)
    if record is None:
        path.unlink(missing_ok=True)
        record = keep(path, key, make())
    return record


def one_build(path: Path, build: str) -> IO[str]:
    """Lets any number of processes of one build work in a folder at a time, and none of another: they would make the same files, each
    its own, under each other. Gives what has to be kept open meanwhile."""
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(build)
        file.flush()
    except BlockingIOError:
        pass  # somebody is at work
    fcntl.flock(file, fcntl.LOCK_SH)
    file.seek(0)
    if (found := file.read()) != build:
        file.close()
        raise Failed(f"expected nobody else in {path.parent}, but a run.py of another build of qopt is at work: {found}, and this is {build}\n"
                     "next: wait for it, name its --qopt, or another folder with --work")
    return file
