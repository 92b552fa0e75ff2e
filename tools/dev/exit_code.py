#!/usr/bin/env python3
"""Runs a command and demands its exit code: for lit tests of refusals, where `not` would take any.

    exit_code.py 2 qopt inspect broken.gguf
"""
import subprocess
import sys

wanted = int(sys.argv[1])
got = subprocess.run(sys.argv[2:], check=False).returncode
if got != wanted:
    sys.exit(f"expected exit code {wanted}, but got {got}: {' '.join(sys.argv[2:])}")
