"""Writes safetensors with the second result of @f, and not the first: gap.py FILE."""
import json
import pathlib
import struct
import sys

header = json.dumps({"f.1": {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]}}).encode()
pathlib.Path(sys.argv[1]).write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<i", 4))
