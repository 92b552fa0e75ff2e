"""Safetensors and GGUF files as values that can be broken in one place and written again. Standard library only."""
import json
import struct

UINT32, FLOAT32, STRING, ARRAY, UINT64 = 4, 6, 8, 9, 10  # GGUF's value types that we make
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Safetensors:
    """`header`: the JSON object, `text`: what is written in its place if set, `length`: what the file claims. A header that
    fits keeps the length that it had, so that the file's size stays."""

    def __init__(self, data):
        (length,) = struct.unpack_from("<Q", data)
        self.header, self.room = json.loads(data[8:8 + length]), length
        self.data = bytearray(data[8 + length:])
        self.text = self.length = None

    def bytes(self):
        text = (self.text or json.dumps(self.header, separators=(",", ":"), ensure_ascii=False)).encode()
        text = text if self.text else text.ljust(self.room)
        return struct.pack("<Q", len(text) if self.length is None else self.length) + text + bytes(self.data)

    def put(self, tensor, index, value):
        """Writes an f32 element."""
        struct.pack_into("<f", self.data, self.header[tensor]["data_offsets"][0] + 4 * index, value)


class Gguf:
    """`pairs`: [key, type, bytes of the value], `tensors`: [name, shape with the innermost axis first, type, offset]."""

    def __init__(self, data):
        self.input, self.at = data, 4
        self.magic = b"GGUF"
        self.version, tensors, pairs = self.take("<I"), self.take("<Q"), self.take("<Q")
        self.pairs = []
        for _ in range(pairs):
            key, kind = self.string(), self.take("<I")
            start = self.at
            self.skip(kind)
            self.pairs.append([key, kind, data[start:self.at]])
        self.tensors = []
        for _ in range(tensors):
            name = self.string()
            shape = [self.take("<Q") for _ in range(self.take("<I"))]
            self.tensors.append([name, shape, self.take("<I"), self.take("<Q")])
        self.header_bytes = self.at
        self.data = bytearray(data[(self.at + 31) // 32 * 32:])
        self.claimed_tensors = self.claimed_pairs = None

    def take(self, format):
        (value,) = struct.unpack_from(format, self.input, self.at)
        self.at += struct.calcsize(format)
        return value

    def string(self):
        length = self.take("<Q")
        self.at += length
        return self.input[self.at - length:self.at].decode()

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            element, count = self.take("<I"), self.take("<Q")
            for _ in range(count):
                self.skip(element)
        else:
            self.at += SCALAR_BYTES[kind]

    def set(self, key, kind, value):
        """Gives a key another type and value, or adds it."""
        self.pairs = [pair for pair in self.pairs if pair[0] != key] + [[key, kind, value]]

    def drop(self, key):
        self.pairs = [pair for pair in self.pairs if pair[0] != key]

    def strings(self, key):
        """The strings of an array."""
        (value,) = [pair[2] for pair in self.pairs if pair[0] == key]
        self.input, self.at = value, 12
        return [self.string() for _ in range(struct.unpack_from("<Q", value, 4)[0])]

    def tensor(self, name):
        return next(tensor for tensor in self.tensors if tensor[0] == name)

    def bytes(self):
        def count(claimed, items):
            return struct.pack("<Q", len(items) if claimed is None else claimed)

        out = self.magic + struct.pack("<I", self.version)
        out += count(self.claimed_tensors, self.tensors) + count(self.claimed_pairs, self.pairs)
        for key, kind, value in self.pairs:
            out += text(key) + struct.pack("<I", kind) + value
        for name, shape, kind, offset in self.tensors:
            out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", axis) for axis in shape)
            out += struct.pack("<IQ", kind, offset)
        return out + b"\0" * (-len(out) % 32) + bytes(self.data)


def text(value):
    """A GGUF string."""
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def texts(values):
    """A GGUF array of strings."""
    return struct.pack("<IQ", STRING, len(values)) + b"".join(text(value) for value in values)


def sections(artifact):
    """The sections of an artifact, name to (first byte, end), in the order of the file."""
    (length,) = struct.unpack_from("<Q", artifact)
    header = json.loads(artifact[8:8 + length])
    header.pop("__metadata__")
    start = 8 + length
    return {name: (start + entry["data_offsets"][0], start + entry["data_offsets"][1]) for name, entry in header.items()}
