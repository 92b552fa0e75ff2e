"""Inverts the last byte of the first file of a folder that matches a pattern."""
import pathlib
import sys

path = sorted(pathlib.Path(sys.argv[1]).glob(sys.argv[2]))[0]
data = path.read_bytes()
path.write_bytes(data[:-1] + bytes([data[-1] ^ 0xFF]))
