"""One malformed input: how it is made, what is run on it, and what must come of it."""
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from typing import Callable, Dict

import formats

MOST_SECONDS = 0.1  # beyond what the program takes to start, which is the machine's
MOST_BYTES = 256 << 20
TRIES = 3
# A machine with more to do than processors must not fail a test of time: there the processor time of the best try counts,
# as long as the answer comes at all.
MOST_SECONDS_UNDER_LOAD = 60


@dataclasses.dataclass
class Case:
    """`command` says {in} for the folder of inputs, {out} for an empty one, {base} for the sound models.
    `rule`, `where`, `result`, `next`: regular expressions for the parts of the message (docs/Errors.md)."""

    name: str
    files: Dict[str, Callable]
    command: str
    code: int
    rule: str
    where: str = ".+"
    next: str = ".+"
    result: str = ".+"
    stdin: bytes = b""


class Bench:
    """Where cases run: the tools, the fixtures, a work folder; and what was measured."""

    def __init__(self, arguments):
        self.qopt, self.runner = arguments.qopt, arguments.qopt_run
        self.fixtures, self.base = pathlib.Path(arguments.fixtures), pathlib.Path(arguments.base)
        self.work = pathlib.Path(arguments.work)
        self.sanitizers = arguments.sanitizers
        self.slowest, self.greatest, self.under_load = (0, ""), (0, ""), 0

    def run(self, command, inputs, outputs, scratch, stdin=b""):
        """Returns (exit code, stdout, stderr, seconds, seconds of processor time, peak bytes)."""
        names = {"in": inputs, "out": outputs, "base": self.base}
        words = [re.sub(r"\{(in|out|base)\}", lambda name: str(names[name[1]]), word) for word in shlex.split(command)]
        words[0] = {"qopt": self.qopt, "qopt-run": self.runner}[words[0]]
        environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"}
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            start = time.monotonic()
            child = subprocess.Popen(words, stdin=given, stdout=out, stderr=err, env=environment, cwd=inputs)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.monotonic() - start
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), err.seek(0)
            message = err.read().decode("utf-8", "replace")
            return child.returncode, out.read(), message, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    def start(self, program):
        """Seconds, and seconds of processor time, that the program takes to start and answer: of the best try."""
        with tempfile.TemporaryDirectory() as folder:
            tries = [self.run(f"{program} --version", folder, folder, folder)[3:5] for _ in range(TRIES)]
        return min(seconds for seconds, _ in tries), min(processor for _, processor in tries)

    def check(self, case):
        """The complaints about one case, and what it printed."""
        folder = self.work / re.sub(r"[^A-Za-z0-9]+", "-", case.name)
        shutil.rmtree(folder, ignore_errors=True)
        inputs, outputs, scratch = folder / "in", folder / "out", folder / "tmp"
        for path in (inputs, outputs, scratch):
            path.mkdir(parents=True)
        for name, make in case.files.items():
            make(self, inputs / name)
        before = listing(inputs)
        seconds = processor = peak = float("inf")
        for _ in range(1 if self.sanitizers else TRIES):
            code, stdout, stderr, took, worked, size = self.run(case.command, inputs, outputs, scratch, case.stdin)
            seconds, processor, peak = min(seconds, took), min(processor, worked), min(peak, size)
            if seconds <= MOST_SECONDS:
                break
        if seconds > MOST_SECONDS and not self.sanitizers:
            started, start_processor = self.start(case.command.split()[0])
            seconds, processor = seconds - started, processor - start_processor
        if MOST_SECONDS < seconds < MOST_SECONDS_UNDER_LOAD and os.getloadavg()[0] > len(os.sched_getaffinity(0)):
            self.under_load += 1
            seconds = processor
        complaints = compare(case, code, stdout, stderr)
        for place, path in (("output", outputs), ("temporary", scratch)):
            if left := listing(path):
                complaints.append(f"left in the {place} folder: {', '.join(left)}")
        if listing(inputs) != before:
            complaints.append("the inputs were changed")
        self.slowest = max(self.slowest, (seconds, case.name))
        self.greatest = max(self.greatest, (peak, case.name))
        if not self.sanitizers and seconds > MOST_SECONDS:
            complaints.append(f"expected at most {MOST_SECONDS * 1e3:.0f} ms beyond its start, but it took {seconds * 1e3:.0f}")
        if not self.sanitizers and peak > MOST_BYTES:
            complaints.append(f"expected at most {MOST_BYTES >> 20} MiB of memory, but it took {peak >> 20}")
        if not complaints:
            shutil.rmtree(folder)
        return complaints, stderr


def listing(folder):
    """Every file below a folder, with the digest of its contents."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def compare(case, code, stdout, stderr):
    """What is wrong with how the tool answered."""
    complaints = []
    if code != case.code:
        complaints.append(f"expected exit code {case.code}, but got {code}")
    if stdout:
        complaints.append(f"expected nothing on the standard output, but got {stdout[:200]!r}")
    parts = {"error": [], "in": [], "result": [], "next": []}
    for line in stderr.splitlines():
        match = re.match(r"(?:  )?(error|in|result|next): (.*)", line)
        if not match:
            complaints.append(f"expected the parts of a message, but got the line {line!r}")
        else:
            parts[match[1]].append(match[2])
    wanted = {"error": case.rule, "in": case.where, "result": case.result, "next": case.next}
    for part, pattern in wanted.items():
        if len(parts[part]) > 1:
            complaints.append(f"expected one message, but got {len(parts[part])} with \"{part}:\"")
        if pattern is None and parts[part]:
            complaints.append(f"expected no \"{part}:\", but got {parts[part][0]!r}")
        elif pattern is not None and not any(re.search(pattern, text) for text in parts[part]):
            complaints.append(f"expected \"{part}:\" to match {pattern!r}")
    return complaints


# How inputs are made: functions of the bench and the path. Those of files take an `edit` that changes a value in place, or
# returns bytes for a new one.
def fixture(name):
    """A file or folder of tests/fixtures as it is."""

    def make(bench, path):
        source = bench.fixtures / name
        shutil.copytree(source, path) if source.is_dir() else shutil.copyfile(source, path)

    return make


def base(name):
    """One of the sound models as it is."""
    return lambda bench, path: shutil.copyfile(bench.base / name, path)


def raw(data):
    """These bytes."""
    return lambda bench, path: path.write_bytes(data if isinstance(data, bytes) else data.encode())


def edited(name, parse, edit, serialize):
    """A fixture, a sound model, or, under "", the file that an earlier line put there; parsed, edited, written again."""

    def make(bench, path):
        source = path if not name else bench.fixtures / name
        if not source.exists():
            source = bench.base / name
        value = parse(source.read_bytes())
        result = edit(value)
        path.write_bytes(result if isinstance(result, (bytes, bytearray)) else serialize(value))

    return make


def bytes_of(name, edit):
    return edited(name, bytearray, edit, bytes)


def json_of(name, edit):
    return edited(name, json.loads, edit, lambda value: json.dumps(value).encode())


def safetensors_of(name, edit):
    return edited(name, formats.Safetensors, edit, formats.Safetensors.bytes)


def gguf_of(name, edit):
    return edited(name, formats.Gguf, edit, formats.Gguf.bytes)
