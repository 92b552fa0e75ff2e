"""A GGUF file with another pre-tokenizer of the same kind: SOURCE NAME OUT. `general.name` grows or shrinks by as much, so that tensors
stay where they are."""
import pathlib
import struct
import sys


def value(data, key):
    """Where a string's length and its bytes are."""
    encoded = key.encode()
    at = data.index(struct.pack("<Q", len(encoded)) + encoded) + 8 + len(encoded)
    assert struct.unpack_from("<I", data, at) == (8,), key
    (length,) = struct.unpack_from("<Q", data, at + 4)
    return at + 4, length


def replaced(data, key, text):
    at, length = value(data, key)
    return data[:at] + struct.pack("<Q", len(text)) + text + data[at + 8 + length:]


source, name, out = sys.argv[1:]
data = pathlib.Path(source).read_bytes()
_, before = value(data, "tokenizer.ggml.pre")
at, length = value(data, "general.name")
assert length - (len(name) - before) > 0
data = replaced(data, "tokenizer.ggml.pre", name.encode())
pathlib.Path(out).write_bytes(replaced(data, "general.name", b"x" * (length - (len(name) - before))))
