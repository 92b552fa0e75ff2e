#!/usr/bin/env python3
"""Runs *_test.py beside it. Exit code 77: numpy or gguf is missing."""
import importlib.util
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BENCH = HERE.parents[2] / "bench"

for needed in ("numpy", "gguf"):
    if importlib.util.find_spec(needed) is None:
        print(f"SKIP: {needed} is missing")
        sys.exit(77)
sys.path[:0] = [str(HERE), str(BENCH), str(BENCH / "accuracy")]
found = unittest.defaultTestLoader.discover(str(HERE), "*_test.py")
done = unittest.TextTestRunner(verbosity=2).run(found)
sys.exit(0 if done.wasSuccessful() and done.testsRun > 0 else 1)
