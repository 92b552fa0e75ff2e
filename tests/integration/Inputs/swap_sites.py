"""Writes statistics in which the sites of two kinds of weights have changed their weights: swap_sites.py FROM TO ONE OTHER."""
import pathlib
import sys

source, target, one, other = sys.argv[1:]
content = pathlib.Path(source).read_bytes()
length = int.from_bytes(content[:8], "little")
header = content[8:8 + length].decode()
# The lists of weights alone: names of sites, which tensors carry, stay. They stand in JSON within JSON.
before = header
for layer in range(2):
    first, second = (f'\\"parameters\\":[\\"model.layers.{layer}.{name}.weight\\"]' for name in (one, other))
    assert header.count(first) == header.count(second) == 1, (first, header[:2000])
    header = header.replace(first, "\0").replace(second, first).replace("\0", second)
assert header != before and len(header) == len(before)
pathlib.Path(target).write_bytes(content[:8] + header.encode() + content[8 + length:])
