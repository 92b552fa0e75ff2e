"""Outputs that are cut short: a disk that fills up and an interrupt, at every point where a file is half made. All of a
command's outputs are there afterwards, or none, and nothing else; what had an output's name before is as it was.

    cut_short.py --qopt … --qopt-run … --base B --work W --fault libfault.so [--few] full|limit|interrupt|moments
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time

QUANTIZE = "quantize {base}/model.mlir --scheme w4a8:g32 -o {out}/q.mlir"
# Command, and what it writes.
COMMANDS = {
    "import": ("import {base}/llama-tied -o {out}/m.mlir", ["m.mlir"]),
    "quantize": (QUANTIZE, ["q.mlir", "q.safetensors"]),
    "compile": ("compile {base}/q.mlir --target generic -o {out}/m.qopt", ["m.qopt"]),
    "build": ("build {base}/llama-tied --scheme w4a8:g32 --target generic -o {out}/m.qopt", ["m.qopt"]),
    "export": ("export {base}/q.mlir --to hf -o {out}/hf",
               ["hf/config.json", "hf/generation_config.json", "hf/model.safetensors", "hf/tokenizer.json",
                "hf/tokenizer_config.json"]),
}
# What was there before: an overlay takes the place of an earlier one alone, so all are one, with nothing in it.
OLD_HEADER = b'{"__metadata__":{"qopt.kind":"overlay"}}'
OLD = struct.pack("<Q", len(OLD_HEADER)) + OLD_HEADER
LAST_CALLS = 10  # of a command with more calls than that: these, and some before them. IR and overlay take eight calls from
# the first link to the last fsync (lib/Archive/OutputFile.h).


class Test:
    def __init__(self, arguments):
        self.arguments = arguments
        self.runs, self.failures = 0, []
        # With sanitizers, code generation takes a minute; its outputs are written as the others are.
        self.commands = [name for name in COMMANDS if not (arguments.few and name in ("compile", "build"))]
        self.out, self.scratch = (pathlib.Path(arguments.work) / name for name in ("out", "tmp"))

    def prepare(self, command, old):
        """Empty folders; with `old`, files under the names of the outputs."""
        for folder in (self.out, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for name in COMMANDS[command][1] if old else []:
            (self.out / name).parent.mkdir(exist_ok=True)
            (self.out / name).write_bytes(OLD)

    def start(self, line, environment=(), stdout=subprocess.DEVNULL, **more):
        words = [word.format(base=self.arguments.base, out=self.out) for word in line.split()]
        tool = self.arguments.qopt
        if words[0] == "qopt-run":
            tool, words = self.arguments.qopt_run, words[1:]
        self.runs += 1
        return subprocess.Popen([tool, *words], stdout=stdout, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "TMPDIR": str(self.scratch), **dict(environment)}, **more)

    def check(self, what, command, code, wanted, message, old=False):
        """`wanted`: exit codes that are right. Success means all outputs, anything else all or none."""
        if code not in wanted:
            self.failures.append(f"{what}: expected exit code {' or '.join(map(str, wanted))}, but got {code}\n{message}")
        found = sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if not path.is_dir())
        names = COMMANDS[command][1]
        untouched = [(self.out / name).is_file() and (self.out / name).read_bytes() == OLD for name in names]
        complete = found == sorted(names) and not any(untouched)
        nothing = found == sorted(names) and all(untouched) if old else list(self.out.iterdir()) == []
        if not complete and (code == 0 or not nothing):
            kept = f", of them as before {[name for name, same in zip(names, untouched) if same]}" if old else ""
            wanted = "all outputs" if code == 0 else "all outputs or none"
            self.failures.append(f"{what}: exit code {code}, expected {wanted}, but got {found}{kept}")
        if left := list(self.scratch.iterdir()):
            self.failures.append(f"{what}: left in the folder for temporary files: {left}")
        if code > 0 and not re.search(r"error: .*\n(.*\n)*  result: .*\n", message):
            self.failures.append(f"{what}: expected a message that says what became of the outputs, but got\n{message}")

    def preloaded(self, command, at, old=False, **fault):
        """One run with a fault at the call `at`. Returns its exit code."""
        self.prepare(command, old)
        child = self.start(COMMANDS[command][0], {"LD_PRELOAD": self.arguments.fault, "FAULT_AT": str(at), **fault})
        message = child.communicate()[1]
        return child.returncode, message

    def calls(self, command, old, fault):
        """How many calls there are, and the numbers of those at which to fail."""
        path = pathlib.Path(self.arguments.work) / "count"
        code, message = self.preloaded(command, 0, old, FAULT_COUNT=str(path), **fault)
        self.check(f"{command}, without a fault", command, code, [0], message, old)
        count = int(path.read_text())
        if self.arguments.few:
            return count, sorted(place for place in {1, count - 4, count - 2, count - 1, count} if place > 0)
        last = max(1, count - LAST_CALLS + 1)
        return count, sorted({*range(1, last, max(1, count // 3)), *range(last, count + 1)})

    def every_call(self, kinds):
        for command in self.commands:
            for name, wanted, old, fault in kinds:
                count, places = self.calls(command, old, fault)
                for place in places:
                    code, message = self.preloaded(command, place, old, **fault)
                    self.check(f"{command}, {name} at call {place} of {count}", command, code, wanted, message, old)

    def full(self):
        """A disk without space, at every call that changes a file; and devices that are full."""
        # The last call makes the output's name durable: the output is complete by then.
        self.every_call([("no space", [3], False, {}), ("no space, old files", [3], True, {})])
        for line in ("import {base}/llama-tied -o /dev/full",
                     *(["compile {base}/q.mlir --target generic -o /dev/full"] if "compile" in self.commands else []),
                     QUANTIZE.replace("{out}/q.mlir", "/dev/full --overlay {out}/q.safetensors")):
            self.prepare("quantize", False)
            child = self.start(line)
            message = child.communicate()[1]
            self.check(line, "quantize", child.returncode, [3], message)
        for line in ("import {base}/llama-tied -o -", QUANTIZE.replace("{out}/q.mlir", "- --overlay {out}/q.safetensors"),
                     "inspect {base}/q.mlir --json", "tokenize {base}/model.qopt --text abc",
                     'qopt-run {base}/model.qopt --prompt a -n 4', 'run {base}/model.qopt --prompt a -n 4 --json',
                     "bench {base}/model.qopt --prompt-tokens 4 --generate 2 --repeat 1"):
            self.prepare("quantize", False)
            with open("/dev/full", "w") as full:
                child = self.start(line, stdout=full)
                message = child.communicate()[1]
            self.check(line + " > /dev/full", "quantize", child.returncode, [3], message)

    def limit(self):
        """Files that may not grow beyond some size (ulimit -f); the outputs are 12 to 320 KB."""
        for command in self.commands:
            for size in (0, 1, 4096, 20000, 60000, 100000, 1 << 20):
                self.prepare(command, False)
                child = self.start(COMMANDS[command][0],
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
                message = child.communicate()[1]
                self.check(f"{command}, files of at most {size} bytes", command, child.returncode,
                           [0] if size == 1 << 20 else [0, 3], message)

    def interrupt(self):
        """A signal before and after every call that changes a file."""
        before = {"FAULT_SIGNAL": str(int(signal.SIGINT))}
        after = {"FAULT_SIGNAL": str(int(signal.SIGTERM)), "FAULT_AFTER": "1"}
        signals = (("SIGINT", signal.SIGINT, before), ("SIGTERM after it", signal.SIGTERM, after))
        self.every_call([(name + with_old, [-number], bool(with_old), fault)
                         for with_old in ("", ", old files") for name, number, fault in signals])

    def moments(self):
        """Signals at moments that have nothing to do with files."""
        for command in self.commands:
            line = COMMANDS[command][0]
            self.prepare(command, False)
            begin = time.monotonic()
            self.start(line).communicate()
            whole = time.monotonic() - begin
            count = 2 if self.arguments.few else 6
            for i in range(count):
                kind = (signal.SIGINT, signal.SIGTERM)[i % 2]
                self.prepare(command, False)
                child = self.start(line)
                time.sleep(whole * (i + 0.5) / count)
                child.send_signal(kind)
                message = child.communicate()[1]
                self.check(f"{command}, {kind.name} after {i + 0.5} of {count} parts", command, child.returncode, [-kind, 0], message)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--qopt", "--qopt-run", "--base", "--work", "--fault"):
        parser.add_argument(name, required=True)
    parser.add_argument("--few", action="store_true", help="where the tools are slow: fewer points, and no code generation")
    parser.add_argument("test", choices=["full", "limit", "interrupt", "moments"])
    arguments = parser.parse_args()
    test = Test(arguments)
    getattr(test, arguments.test)()
    print("\n".join(test.failures))
    print(f"{test.runs} runs of {', '.join(test.commands)}; {len(test.failures)} complaints")
    sys.exit(bool(test.failures))


if __name__ == "__main__":
    main()
