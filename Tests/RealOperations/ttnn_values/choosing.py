"""Values of the operations that choose a token and go a position further."""

from __future__ import annotations

from typing import Any

import numpy as np

from ttnn_values.registry import Output, result

Array = np.ndarray
# A seed that leaves a core's generator as it is.
_KEEP = 2**32 - 1
# One generator for each row, as the device has one for each core.
_generators: dict[int, np.random.Generator] = {}


@result("argmax")
def argmax(out: list[Output], x: Array, *, dim: int, **kwargs: Any) -> Array:
    return x.argmax(dim).reshape(out[0].shape)


@result("topk")
def topk(out: list[Output], x: Array, *, k: int, dim: int = -1, **kwargs: Any) -> list[Array]:
    if dim not in (-1, x.ndim - 1) or kwargs.get("indices_tensor") is not None:
        raise NotImplementedError("topk of another dimension, or with indices, has no values")
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return [np.take_along_axis(x, order, -1), order]


@result("manual_seed")
def manual_seed(out: list[Output], *, seeds: Array, user_ids: Array, **kwargs: Any) -> Array:
    for row, seed in zip(user_ids.reshape(-1).tolist(), seeds.reshape(-1).tolist()):
        if seed != _KEEP:
            _generators[row] = np.random.default_rng(seed)
    return np.zeros(out[0].shape)


@result("sampling")
def sampling(out: list[Output], values: Array, indices: Array, *, k: Array, p: Array, temp: Array, **kwargs: Any) -> Array:
    """Of each row the k best, of those the fewest that have p of the probability, and a draw; `temp` is 1 / temperature."""
    chosen = []
    for row, (logits, tokens) in enumerate(zip(values[0, 0], indices[0, 0])):
        order = np.argsort(-logits, kind="stable")[: int(k[row])]
        weights = np.exp((logits[order] - logits[order[0]]) * temp[row])
        weights /= weights.sum()
        if 0 < p[row] < 1:
            weights[1:][weights.cumsum()[:-1] >= p[row]] = 0
        if np.count_nonzero(weights) == 1:
            chosen.append(tokens[order[0]])
        else:
            generator = _generators.setdefault(row, np.random.default_rng(row))
            chosen.append(generator.choice(tokens[order], p=weights.astype(np.float64) / weights.sum(dtype=np.float64)))
    return np.array(chosen).reshape(out[0].shape)


@result("plus_one")
def plus_one(out: list[Output], x: Array, skip_negative_entries: bool = False, **kwargs: Any) -> Array:
    x += (x >= 0) if skip_negative_entries else 1
    return x
