#!/usr/bin/env python3
"""List the lit tests that could not run on this machine.

Usage: lit_unsupported.py RESULTS_DIR

Reads the JSON files that `lit --output` wrote (one a folder) and prints one line for each unsupported test, then
counts. ctest runs it after the lit entries and shows it as skipped where there is anything to list.
"""
import json
import pathlib
import sys


def main():
    results = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    if not results:
        print("no results of lit were found; run the lit entries first", file=sys.stderr)
        return 2
    total, unsupported = 0, []
    for file in results:
        for test in json.loads(file.read_text(encoding="utf-8"))["tests"]:
            total += 1
            if test["code"] == "UNSUPPORTED":
                unsupported.append((test["name"], test["output"].strip().replace("\n", " ")))
    for name, reason in sorted(unsupported):
        print(f"UNSUPPORTED: {name}: {reason}")
    print(f"{len(unsupported)} of {total} lit tests could not run on this machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
