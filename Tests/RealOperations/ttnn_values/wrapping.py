"""Puts a function around each operation of ttnn that first runs it and then computes its values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import ttnn
from ttnn.decorators import FastOperation

from ttnn_values import attention, choosing, shapes_and_sums, traces
from ttnn_values.counts import validated, without_values
from ttnn_values.registry import MOVES, RESULTS, Output
from ttnn_values.tensors import Capture, Missing, RealTensor, Tensor, Values, canonical, is_float, values_of

# Imported for what they register.
_PARTS = (attention, choosing, shapes_and_sums)


class _Depth:
    """Operations that operations call are part of them."""

    inside = False


def activate() -> None:
    for owner in (ttnn, ttnn.experimental, ttnn.transformer):
        for name in dir(owner):
            operation = getattr(owner, name)
            if isinstance(operation, FastOperation):
                label = operation.python_fully_qualified_name.removeprefix("ttnn.")
                setattr(owner, name, _TRANSFERS[label](operation) if label in _TRANSFERS else _wrapped(operation, label))
    ttnn.Tensor = Tensor
    traces.install()


def _wrapped(operation: FastOperation, label: str) -> Callable[..., Any]:
    result = RESULTS.get(label)

    @functools.wraps(operation.__call__)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _Depth.inside:
            return operation(*args, **kwargs)
        _Depth.inside = True
        try:
            made = operation(*args, **kwargs)
        finally:
            _Depth.inside = False
        validated[label] += 1
        outputs = [item for item in _listed(made) if isinstance(item, RealTensor)]
        if result is None:
            without_values[label] += bool(outputs)
            found: list[Values | Missing] = [Missing(label)] * len(outputs)
        else:
            found = _computed(label, result, outputs, args, kwargs)
        tensors = [_with_values(output, values) for output, values in zip(outputs, found)]
        return tensors[0] if isinstance(made, RealTensor) else type(made)(tensors) if tensors else made

    return call


def _computed(
    label: str, result: Callable[..., Any], outputs: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Values | Missing]:
    """Computes the values; postponed while a trace is captured, because the device runs nothing then."""
    into = kwargs.get("output_tensor", kwargs.get("optional_output_tensor"))
    known_args, known_kwargs = [_known(value) for value in args], {name: _known(value) for name, value in kwargs.items()}
    source = args[0] if label in MOVES else None
    told = [Output(tuple(output.shape), is_float(output), _share_memory(source, output)) for output in outputs]

    def compute() -> list[np.ndarray]:
        arrays = result(told, *[_array(value) for value in known_args], **{n: _array(v) for n, v in known_kwargs.items()})
        return _checked(label, arrays, told)

    if Capture.active:
        return _put_off(label, compute, told, source, into)
    arrays = compute()
    if into is None:
        return [Values(array) for array in arrays]
    target = values_of(into)
    target.data[...] = arrays[0].reshape(target.data.shape)
    return [target]


def _put_off(
    label: str, compute: Callable[[], list[np.ndarray]], told: list[Output], source: Any, into: Any
) -> list[Values | Missing]:
    if any(output.is_view for output in told):
        arrays = compute()
        # A view is no work of the device: it is there at once, and stays one.
        if all(np.shares_memory(array, values_of(source).data) for array in arrays):
            return [Values(array) for array in arrays]
    found: list[Values | Missing] = [values_of(into)] if into is not None else [traces.awaited(output) for output in told]
    traces.record(label, compute, found)
    return found


def _checked(label: str, arrays: Any, told: list[Output]) -> list[np.ndarray]:
    """The arrays in the shapes that ttnn says its outputs have."""
    # Of an operation that gives back nothing, the argument that it has written is all.
    listed = _listed(arrays) if told else []
    if len(listed) != len(told):
        raise RuntimeError(f"{label}: values for {len(listed)} of {len(told)} outputs")
    for array, output in zip(listed, told):
        if array.shape != output.shape:
            raise RuntimeError(f"{label}: values of {array.shape} where ttnn's output is of {output.shape}")
    return [canonical(array, output.is_float) for array, output in zip(listed, told)]


def _known(value: Any) -> Any:
    if isinstance(value, RealTensor):
        return values_of(value)
    return [_known(item) for item in value] if isinstance(value, (list, tuple)) else value


def _array(value: Any) -> Any:
    if isinstance(value, (Values, Missing)):
        return value.data
    return [_array(item) for item in value] if isinstance(value, list) else value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _with_values(output: RealTensor, values: Values | Missing) -> Tensor:
    tensor = Tensor(output)
    tensor.values = values
    return tensor


def _share_memory(source: Any, output: RealTensor) -> bool:
    if source is None or any(tensor.storage_type() != ttnn.StorageType.DEVICE for tensor in (source, output)):
        return False
    return source.buffer_unique_id() == output.buffer_unique_id()


# Between host and device


def _copying(operation: FastOperation) -> Callable[..., None]:
    def copy_host_to_device_tensor(host: Tensor, device: Tensor, *args: Any, **kwargs: Any) -> None:
        Capture.forbid("a tensor is uploaded")
        operation(host, device, *args, **kwargs)
        validated["copy_host_to_device_tensor"] += 1
        device.values.data[...] = host.values.data

    return copy_host_to_device_tensor


def _freeing(operation: FastOperation) -> Callable[..., None]:
    def deallocate(tensor: Tensor, *args: Any, **kwargs: Any) -> None:
        tensor.deallocate(*args, **kwargs)

    return deallocate


def _reading(operation: FastOperation) -> Callable[..., Tensor]:
    def from_device(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return tensor.cpu(*args, **kwargs)

    return from_device


_TRANSFERS = {"copy_host_to_device_tensor": _copying, "deallocate": _freeing, "from_device": _reading}
