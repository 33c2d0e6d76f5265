"""Values of operations that move, add and multiply."""

from __future__ import annotations

from typing import Any

import numpy as np

from ttnn_values.registry import Output, result

Array = np.ndarray
NEVER_WRITTEN = 7


def fitted(x: Array, shape: tuple[int, ...]) -> Array:
    """Cut, or filled with zeros, to the shape: what happens where a tile's padding becomes part of a shape or leaves it."""
    x = x.reshape((1,) * (len(shape) - x.ndim) + x.shape)
    x = x[tuple(slice(0, size) for size in shape)]
    # Without anything to fill it stays a view.
    return x if x.shape == shape else np.pad(x, [(0, size - had) for size, had in zip(shape, x.shape)])


@result("empty")
def empty(out: list[Output], shape: Any, *args: Any, **kwargs: Any) -> Array:
    # What was never written must not look like zeros.
    return np.full(out[0].shape, NEVER_WRITTEN, np.float32)


@result("zeros")
def zeros(out: list[Output], shape: Any, *args: Any, **kwargs: Any) -> Array:
    return np.zeros(out[0].shape, np.float32)


@result(
    "to_memory_config", "to_layout", "interleaved_to_sharded", "sharded_to_interleaved", "tilize", "untilize", "typecast", "clone",
    "to_device", "tilize_with_zero_padding", "reshard", moves=True,
)  # fmt: skip
def moved(out: list[Output], x: Array, *args: Any, **kwargs: Any) -> Array:
    return x if out[0].is_view else x.copy()


@result("reshape", "unsqueeze_to_4D", "experimental.view", "view", moves=True)
def reshape(out: list[Output], x: Array, *args: Any, **kwargs: Any) -> Array:
    if x.size != int(np.prod(out[0].shape)):
        return fitted(x, out[0].shape)
    view = x.reshape(out[0].shape)
    return view if out[0].is_view else view.copy()


@result("slice")
def slice_(out: list[Output], x: Array, starts: Any, ends: Any, steps: Any = None, **kwargs: Any) -> Array:
    bounds = zip(starts, ends, steps or [1] * len(starts))
    return x[tuple(slice(int(start), int(end), int(step)) for start, end, step in bounds)].copy()


@result("pad")
def pad(out: list[Output], x: Array, padding: Any, value: float = 0.0, **kwargs: Any) -> Array:
    return np.pad(x, [tuple(pair) for pair in padding], constant_values=value)


@result("concat")
def concat(out: list[Output], parts: list[Array], dim: int = 0, **kwargs: Any) -> Array:
    return np.concatenate(parts, axis=dim)


@result("transpose")
def transpose(out: list[Output], x: Array, first: int, second: int, **kwargs: Any) -> Array:
    return x.swapaxes(first, second).copy()


@result("embedding")
def embedding(out: list[Output], index: Array, weight: Array, **kwargs: Any) -> Array:
    return weight.reshape(-1, weight.shape[-1])[index.reshape(-1)].reshape(out[0].shape)


@result("linear", "matmul")
def linear(out: list[Output], a: Array, b: Array, bias: Array | None = None, activation: Any = None, **kwargs: Any) -> Array:
    product = a @ b
    if bias is not None:
        product = product + bias
    return _activated(product, [activation] if activation else [])


@result("rms_norm")
def rms_norm(out: list[Output], x: Array, *, epsilon: float = 1e-12, weight: Array, **kwargs: Any) -> Array:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(epsilon)) * weight.reshape(-1)


@result("add")
def add(out: list[Output], a: Array, b: Array, **kwargs: Any) -> Array:
    return a + b


@result("multiply")
def multiply(out: list[Output], a: Array, b: Array, input_tensor_a_activations: Any = (), **kwargs: Any) -> Array:
    return _activated(a, input_tensor_a_activations) * b


def _activated(x: Array, activations: Any) -> Array:
    for activation in activations:
        if "SILU" not in str(activation).upper():
            raise NotImplementedError(f"the activation {activation} has no values")
        x = x / (1 + np.exp(-x))
    return x
