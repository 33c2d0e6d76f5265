"""Reads the tensors of a GGUF file of the llama architecture into float32, in numpy alone."""

from __future__ import annotations

import mmap
import struct
from typing import Any

import numpy as np

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


class _Reader:
    def __init__(self, data: Any) -> None:
        self.data, self.offset = data, 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.offset)
        self.offset += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        size = self.scalar("Q")
        self.offset += size
        return bytes(self.data[self.offset - size : self.offset]).decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            element, count = self.scalar("I"), self.scalar("Q")
            return [self.value(element) for _ in range(count)]
        return self.scalar(_SCALARS[kind])


def read(path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata, and the tensors as [rows, columns] or [columns]."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = _Reader(data)
    if reader.scalar("I") != 0x46554747:
        raise ValueError(f"{path} is no GGUF file")
    reader.scalar("I")
    tensor_count, key_count = reader.scalar("Q"), reader.scalar("Q")
    metadata = {}
    for _ in range(key_count):
        key = reader.text()
        metadata[key] = reader.value(reader.scalar("I"))
    places = []
    for _ in range(tensor_count):
        name = reader.text()
        shape = [reader.scalar("Q") for _ in range(reader.scalar("I"))]
        places.append((name, shape[::-1], reader.scalar("I"), reader.scalar("Q")))
    alignment = metadata.get("general.alignment", 32)
    start = -(-reader.offset // alignment) * alignment
    tensors = {name: _dequantize(data, start + offset, kind, shape) for name, shape, kind, offset in places}
    return metadata, tensors


def _dequantize(data: Any, offset: int, kind: int, shape: list[int]) -> np.ndarray:
    count = int(np.prod(shape))
    match kind:
        case 0:
            values = np.frombuffer(data, "<f4", count, offset)
        case 1:
            values = np.frombuffer(data, "<f2", count, offset)
        case 2 | 3 | 8:
            values = _blocks(data, offset, kind, count)
        case 30:
            values = (np.frombuffer(data, "<u2", count, offset).astype(np.uint32) << 16).view(np.float32)
        case _:
            raise ValueError(f"tensors of GGML type {kind} are not read here")
    return np.ascontiguousarray(values.astype(np.float32).reshape(shape))


def _blocks(data: Any, offset: int, kind: int, count: int) -> np.ndarray:
    """Q4_0, Q4_1 and Q8_0: blocks of 32 weights with a scale and, in Q4_1, a minimum."""
    heads = {2: 1, 3: 2, 8: 1}[kind]
    size = 2 * heads + (32 if kind == 8 else 16)
    raw = np.frombuffer(data, np.uint8, count // 32 * size, offset).reshape(-1, size)
    scales = raw[:, : 2 * heads].copy().view("<f2").astype(np.float32)
    if kind == 8:
        return raw[:, 2:].view(np.int8).astype(np.float32) * scales[:, :1]
    nibbles = np.concatenate([raw[:, 2 * heads :] & 15, raw[:, 2 * heads :] >> 4], axis=1).astype(np.float32)
    if kind == 2:
        return (nibbles - 8) * scales[:, :1]
    return nibbles * scales[:, :1] + scales[:, 1:]
