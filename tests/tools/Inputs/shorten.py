"""Cuts the first file of a folder that matches a pattern to half its length."""
import pathlib
import sys

path = sorted(pathlib.Path(sys.argv[1]).glob(sys.argv[2]))[0]
path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
