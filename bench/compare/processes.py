"""Running a program and knowing what it cost, and whether the machine was ours meanwhile."""

import json
import os
import subprocess
import time
from dataclasses import dataclass


class Failed(Exception):
    """A program that we measure did not end well."""


@dataclass
class Finished:
    output: str
    started: float  # time.monotonic() just before the process was made
    seconds: float  # wall
    cpu_seconds: float
    peak_kib: int  # ru_maxrss

    def json(self):
        return json.loads(self.output)


def run(command):
    """Runs `command` to its end; its diagnostics are shown only where it fails."""
    command = [str(part) for part in command]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    # Both of our drivers write one short line; the compiler's progress is short too. Pipes cannot fill up.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    output, errors = process.stdout.read().decode(), process.stderr.read().decode(errors="replace")
    process.stdout.close()
    process.stderr.close()
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)}\nended with {process.returncode}\n{errors}")
    return Finished(output, started, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


class Foreign:
    """How much of the machine others used between two moments, in CPUs (1.0: one CPU all the time)."""

    def __init__(self):
        self.time, self.busy, self.own = time.monotonic(), _busy_seconds(), _own_seconds()

    def cpus(self):
        elapsed = time.monotonic() - self.time
        others = (_busy_seconds() - self.busy) - (_own_seconds() - self.own)
        return max(0.0, others / elapsed)


def _busy_seconds():
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
