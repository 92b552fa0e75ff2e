"""Compares one tensor of a safetensors file with those of others: compare_tensor.py TENSOR FILE (same|other FILE)…"""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "tools" / "Inputs"))
import safetensors_header


def tensor_bytes(path):
    start, header = safetensors_header.read(path)
    first, end = header[tensor]["data_offsets"]
    return pathlib.Path(path).read_bytes()[start + first : start + end]


tensor, path, *others = sys.argv[1:]
for relation, other in zip(others[::2], others[1::2]):
    equal = tensor_bytes(path) == tensor_bytes(other)
    if equal != (relation == "same"):
        sys.exit(f"{tensor}: expected {path} and {other} to be {relation}, but they are {'the same' if equal else 'not'}")
