#!/usr/bin/env python3
"""Looks for symbols that the linker would merge between copies of a file that is compiled for several kinds of processor
(qopt_add_cpu_copy in cmake/QoptTargets.cmake).

A weak symbol that two of them define is kept once, perhaps as one that the processor cannot run.
Usage: check_copies.py NM OBJECT...; exit code 1 if there is such a symbol.
"""
import subprocess
import sys


def main():
    seen, shared = {}, []
    for path in sys.argv[2:]:
        listing = subprocess.run([sys.argv[1], path], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            kind, name = line.split()[-2:]
            # DW.ref…: the address of the exception personality, the same everywhere; __start_…: the linker's own.
            if kind in "WwVv" and not name.startswith(("DW.ref.", "__start_", "__stop_")) and seen.setdefault(name, path) != path:
                shared.append(name)
    for name in shared:
        print(f"{name} is in several copies")
    print(f"{len(sys.argv) - 2} copies, {len(seen)} weak symbols, {len(shared)} shared")
    return 1 if shared or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
