"""ttnn's tensor with values of its own beside those that a mock does not have."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import ttnn

RealTensor: Any = ttnn.Tensor
_INTEGERS = {ttnn.uint8: np.uint8, ttnn.uint16: np.uint16, ttnn.uint32: np.uint32, ttnn.int32: np.int32}


class NoValues(NotImplementedError):
    """A tensor is read whose values were not computed."""


class Values:
    """float32 or int64 numbers. Tensors over the same memory of the chip share one object, or views of one array."""

    __slots__ = ("data",)

    def __init__(self, data: np.ndarray) -> None:
        self.data = data


class Missing:
    """Stands where values would be."""

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        self.source = source

    @property
    def data(self) -> NoReturn:
        raise NoValues(f"there are no values of the output of {self.source}")


class Capture:
    """Whether a trace is being captured: the device neither takes nor gives anything then."""

    active = False

    @classmethod
    def forbid(cls, what: str) -> None:
        if cls.active:
            raise RuntimeError(f"{what} while a trace is captured")


def is_float(tensor: Any) -> bool:
    return tensor.dtype not in _INTEGERS


def canonical(array: np.ndarray, floats: bool) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32 if floats else np.int64)


def values_of(tensor: Any) -> Values | Missing:
    found = tensor.__dict__.get("values") if isinstance(tensor, Tensor) else None
    return found if found is not None else Missing("something that is not wrapped")


class Tensor(RealTensor):
    """In the place of `ttnn.Tensor`; made of an array it keeps the array's numbers as they are, whatever its type rounds to."""

    values: Values | Missing

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("device") is not None:
            Capture.forbid("a tensor is uploaded")
        super().__init__(*args, **kwargs)
        source = args[0] if args else kwargs.get("tensor")
        if isinstance(source, np.ndarray):
            # A copy: ttnn has copied too.
            self.values = Values(canonical(source, is_float(self)).reshape(tuple(self.shape)).copy())
        elif isinstance(source, RealTensor):
            self.values = values_of(source)
        else:
            self.values = Missing("a tensor's constructor")

    def cpu(self, *args: Any, **kwargs: Any) -> Tensor:
        Capture.forbid("a tensor is read")
        host = Tensor(super().cpu(*args, **kwargs))
        host.values = Values(self.values.data.copy())
        return host

    def to_numpy(self) -> np.ndarray:
        if self.storage_type() != ttnn.StorageType.HOST:
            raise RuntimeError("only a tensor of the host is read: call cpu() first")
        return self.values.data.astype(_INTEGERS.get(self.dtype, np.float32))

    def deallocate(self, *args: Any, **kwargs: Any) -> None:
        super().deallocate(*args, **kwargs)
        self.values = Missing("a tensor that was deallocated")


def _refusal(name: str) -> Any:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise NoValues(f"Tensor.{name} has no values here: call the function of ttnn")

    return refuse


for _name in (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __matmul__ __getitem__ reshape to pad unpad "
    "to_list to_torch item host_buffer extract_shard"
).split():
    setattr(Tensor, _name, _refusal(_name))
# What is not wrapped gives tensors of the real type, whose numbers would be zeros.
for _name in ("to_numpy", "to_list", "to_torch", "item"):
    setattr(RealTensor, _name, _refusal(_name))
