"""Traces: ttnn's own capture cannot hold an operation on a mock, so the computing of values is what is recorded and run again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import ttnn

from ttnn_values.counts import replayed
from ttnn_values.registry import Output
from ttnn_values.tensors import Capture, Values

_Step = Callable[[], None]
_traces: dict[int, list[_Step]] = {}
_numbers = itertools.count(1)
_captured: list[_Step] = []


def awaited(output: Output) -> Values:
    """An output of a capture: what is there before the first execution is nothing to go by."""
    return Values(np.full(output.shape, np.nan, np.float32) if output.is_float else np.full(output.shape, -1, np.int64))


def record(label: str, compute: Callable[[], list[np.ndarray]], outputs: list[Any]) -> None:
    """Executing writes into the outputs of the capture, as the device writes into the same memory each time."""

    def step() -> None:
        for values, array in zip(outputs, compute()):
            values.data[...] = array.reshape(values.data.shape)
        replayed[label] += 1

    _captured.append(step)


def install() -> None:
    ttnn.begin_trace_capture, ttnn.end_trace_capture = _begin, _end
    ttnn.execute_trace, ttnn.release_trace = _execute, _release


def _begin(mesh_device: Any, *, cq_id: int = 0) -> int:
    Capture.forbid("another trace is begun")
    Capture.active = True
    _captured.clear()
    return next(_numbers)


def _end(mesh_device: Any, trace_id: int, *, cq_id: int = 0) -> None:
    Capture.active = False
    _traces[trace_id] = _captured.copy()
    _captured.clear()


def _execute(mesh_device: Any, trace_id: int, *, cq_id: int = 0, blocking: bool = True) -> None:
    Capture.forbid("a trace is executed")
    for step in _traces[trace_id]:
        step()


def _release(mesh_device: Any, trace_id: int) -> None:
    del _traces[trace_id]
