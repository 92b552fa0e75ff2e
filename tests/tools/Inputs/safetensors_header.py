"""The header of a safetensors file, without packages: (offset of the data, JSON)."""
import json
import struct


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return 8 + length, json.loads(file.read(length))
