"""Gives the float parameters of IR files numbers: bind_parameters.py FILE.mlir…

FILE.mlir is rewritten in place, and its numbers go to FILE.safetensors beside it. They are random, from the parameter's name: f32
or bf16 by the parameter's type; between 0.5 and 2 in a vector, between -1 and 1 in a matrix. A comment `// = 1 nan 1e-40` behind
a parameter names them instead, the last for all that follow; after `// = none` it gets none. Parameters that have an entry or an
initializer are left alone.
"""
import hashlib
import json
import math
import pathlib
import random
import re
import struct
import sys

PARAMETER = re.compile(
    r"^(?P<head>\s*transformer\.parameter @(?P<name>[\w.]+) : tensor<(?P<shape>[0-9x]+)x(?P<type>f32|bf16)>)"
    r"(?:\s*// = (?P<values>.*))?$",
    re.MULTILINE,
)


def numbers(match, shape):
    count = math.prod(shape)
    if match["values"]:
        given = [float(text) for text in match["values"].split()]
        return (given + [given[-1]] * count)[:count]
    source = random.Random(match["name"])
    if len(shape) == 1:
        return [2 ** source.uniform(-1, 1) for _ in range(count)]
    return [source.uniform(-1, 1) for _ in range(count)]


def encode(values, kind):
    packed = struct.pack(f"<{len(values)}f", *values)
    if kind == "f32":
        return packed
    return b"".join(packed[i + 2 : i + 4] for i in range(0, len(packed), 4))


def bind(path):
    header, data = {}, bytearray()

    def entry(match):
        if match["values"] == "none":
            return match["head"]
        shape = [int(extent) for extent in match["shape"].split("x")]
        encoded = encode(numbers(match, shape), match["type"])
        offsets = [len(data), len(data) + len(encoded)]
        header[match["name"]] = {"dtype": match["type"].upper(), "shape": shape, "data_offsets": offsets}
        data.extend(encoded)
        return f'{match["head"]} from <@numbers, "{match["name"]}", {match["type"]}>'

    text = PARAMETER.sub(entry, path.read_text(encoding="utf-8"))
    if not header:
        return
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    head = struct.pack("<Q", len(encoded)) + encoded
    archive = path.with_suffix(".safetensors")
    archive.write_bytes(head + data)
    digest = hashlib.sha256(head).hexdigest()
    path.write_text(
        f'transformer.archive @numbers "{archive.name}" size {len(head) + len(data)} header "sha256:{digest}"\n{text}',
        encoding="utf-8",
    )


if __name__ == "__main__":
    for file in sys.argv[1:]:
        bind(pathlib.Path(file))
