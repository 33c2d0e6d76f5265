"""Tensors for the model: torch tensors if the model's module uses torch, otherwise numpy arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ttbatch_bridge.errors import ProtocolError


class TensorKind:
    """Converts numpy arrays to the model's tensors, and its outputs to numpy arrays."""

    def __init__(self) -> None:
        # A model that needs torch has imported it when its class was imported.
        self._torch = sys.modules.get("torch")

    @property
    def name(self) -> str:
        return "torch" if self._torch else "numpy"

    def dtype(self, name: str) -> Any:
        """A dtype for `allocate_kv_cache`."""
        return getattr(self._torch, name) if self._torch else name

    def tensor(self, array: np.ndarray) -> Any:
        """A tensor that shares the array's memory."""
        return self._torch.from_numpy(array) if self._torch else array

    def array(self, value: Any, dtype: type) -> np.ndarray:
        """The values on the host, contiguous and of `dtype`."""
        if self._torch and isinstance(value, self._torch.Tensor):
            value = value.detach().cpu()
            if dtype is np.float32:
                value = value.float()
            value = value.numpy()
        return np.ascontiguousarray(value, dtype=dtype)


class PayloadReader:
    """Takes arrays from a payload, one after the other; every length is checked before it is used."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._offset = 0

    def take(self, count: int, dtype: str) -> np.ndarray:
        """A view of the next `count` elements of `dtype`."""
        size = count * np.dtype(dtype).itemsize
        if count < 0 or self._offset + size > len(self._payload):
            raise ProtocolError(f"a payload of {len(self._payload)} bytes ends before {count} elements of {dtype}")
        array = np.frombuffer(self._payload, dtype, count, self._offset)
        self._offset += size
        return array

    def end(self) -> None:
        """Checks that nothing is left."""
        if self._offset != len(self._payload):
            raise ProtocolError(f"{len(self._payload) - self._offset} bytes are left of a payload")
