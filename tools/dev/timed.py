#!/usr/bin/env python3
"""Run a command and print the seconds that it took, and its exit code if that is not 0.

Usage: timed.py COMMAND [ARGUMENT...]
"""
import subprocess
import sys
import time


def main():
    start = time.monotonic()
    code = subprocess.run(sys.argv[1:], check=False).returncode
    print(f"seconds: {time.monotonic() - start:.3f}")
    if code:
        print(f"exit code: {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
