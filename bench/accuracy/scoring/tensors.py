"""Safetensors files in numpy, bf16 among them, which numpy has no type for."""

import json
import struct
from pathlib import Path
from typing import Iterator, Mapping

import numpy as np

_TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
          "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_, "BF16": np.uint16}
_NAMES = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(np.int64): "I64", np.dtype(np.int32): "I32",
          np.dtype(np.int8): "I8"}


def bf16(values: np.ndarray) -> np.ndarray:
    """f32 values rounded to bf16 (nearest, ties to even), as f32. Finite values only."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32)


class Checkpoint(Mapping[str, np.ndarray]):
    """The tensors of one safetensors file, or of all those in a folder, by name. Read where they are asked for."""

    def __init__(self, path: Path) -> None:
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path}: expected safetensors files, but got none")
        self.entries: dict[str, tuple[Path, int, str, list[int], int]] = {}
        self.metadata: dict[str, str] = {}
        for file in files:
            with file.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                header = json.loads(stream.read(length))
            self.metadata |= header.pop("__metadata__", {})
            for name, entry in header.items():
                if name in self.entries:
                    raise ValueError(f"{file}: expected each tensor once, but {name} is also in {self.entries[name][0]}")
                begin, end = entry["data_offsets"]
                self.entries[name] = (file, 8 + length + begin, entry["dtype"], entry["shape"], end - begin)

    def stored(self, name: str) -> np.ndarray:
        """The bytes of a tensor of any type."""
        file, offset, _, _, size = self.entries[name]
        return np.fromfile(file, np.uint8, size, offset=offset)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.entries:
            raise KeyError(name)
        file, _, kind, shape, _ = self.entries[name]
        if kind not in _TYPES:
            raise ValueError(f"{file}: expected one of {', '.join(_TYPES)} for {name}, but got {kind}")
        values: np.ndarray = self.stored(name).view(_TYPES[kind]).reshape(shape)
        if kind == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values

    def __contains__(self, name: object) -> bool:
        return name in self.entries  # without reading it

    def kind(self, name: str) -> str:
        """The stored type: F32, BF16, …"""
        return self.entries[name][2]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class Read(Mapping[str, np.ndarray]):
    """Tensors by name, and of which of them somebody has asked for the values."""

    def __init__(self, stored: Mapping[str, np.ndarray]) -> None:
        self.stored = stored
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        values = self.stored[name]
        self.names.add(name)
        return values

    def __contains__(self, name: object) -> bool:
        return name in self.stored

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


def write(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file in name order; it appears complete or not at all."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        stream.write(struct.pack("<Q", len(encoded)) + encoded)
        for name in sorted(tensors):
            stream.write(np.ascontiguousarray(tensors[name]).data)
    partial.replace(path)
