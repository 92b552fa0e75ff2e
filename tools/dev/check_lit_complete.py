#!/usr/bin/env python3
"""Fail if a test file is run by no ctest entry, or an input file is used by no test.

Usage: check_lit_complete.py --lit LIT --suite BUILD/tests/lit --tests tests --entries lit.dialects ...

Every .mlir and .test file below tests/ must be a test that lit discovers in a folder that has a ctest entry, unless it
lies in an Inputs or fixtures folder; then some test beside it must name it (or the folder).
"""
import argparse
import pathlib
import subprocess
import sys

DATA_FOLDERS = {"Inputs", "fixtures"}


def discovered(lit, suite):
    """Paths, relative to tests/, of the tests that lit finds."""
    shown = subprocess.run([sys.executable, lit, "--show-tests", suite], capture_output=True, text=True, check=True)
    marker = "qopt :: "
    return {line.split(marker, 1)[1].strip() for line in shown.stdout.splitlines() if marker in line}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--lit", "--suite", "--tests"):
        parser.add_argument(name, required=True)
    parser.add_argument("--entries", nargs="*", default=[])
    arguments = parser.parse_args()

    root = pathlib.Path(arguments.tests)
    tests = discovered(arguments.lit, arguments.suite)
    folders = {entry.removeprefix("lit.") for entry in arguments.entries}
    problems = []
    for file in sorted(path for path in root.rglob("*") if path.suffix in (".mlir", ".test")):
        relative = file.relative_to(root)
        data = DATA_FOLDERS.intersection(relative.parts)
        if data:
            folder = root.joinpath(*relative.parts[: relative.parts.index(data.pop())])
            users = [test for test in folder.rglob("*") if test.suffix in (".mlir", ".test", ".cpp", ".txt", ".py")]
            if not any(file.name in user.read_text(encoding="utf-8") for user in users if user != file):
                problems.append(f"{relative}: no test below {folder.relative_to(root)} names it")
        elif relative.as_posix() not in tests:
            problems.append(f"{relative}: lit does not discover it")
        elif relative.parts[0] not in folders:
            problems.append(f"{relative}: no ctest entry runs its folder (tests/LitTests.cmake)")
        elif "RUN:" not in file.read_text(encoding="utf-8"):
            problems.append(f"{relative}: it has no RUN line")
    for problem in problems:
        print(problem)
    print(f"{len(tests)} lit tests in {len(folders)} folders, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
