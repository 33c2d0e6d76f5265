"""Values of the operations of attention: heads, rotation, the paged cache, and scores over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ttnn_values.registry import Output, result
from ttnn_values.shapes_and_sums import NEVER_WRITTEN, fitted

Array = np.ndarray


@result("experimental.nlp_create_qkv_heads")
def heads_of_sequences(
    out: list[Output], x: Array, *, num_heads: int, num_kv_heads: int, transpose_k_heads: bool = True, **kwargs: Any
) -> list[Array]:
    if transpose_k_heads:
        raise NotImplementedError("transposed keys have no values")
    heads = x.reshape(x.shape[0], x.shape[2], num_heads + 2 * num_kv_heads, -1).swapaxes(1, 2)
    return [part.copy() for part in np.split(heads, [num_heads, num_heads + num_kv_heads], axis=1)]


@result("experimental.nlp_create_qkv_heads_decode")
def heads_of_rows(out: list[Output], x: Array, *, num_heads: int, num_kv_heads: int, **kwargs: Any) -> list[Array]:
    heads = x.reshape(1, x.shape[2], num_heads + 2 * num_kv_heads, -1)
    parts = np.split(heads, [num_heads, num_heads + num_kv_heads], axis=2)
    return [fitted(part, output.shape) for part, output in zip(parts, out)]


@result("experimental.nlp_concat_heads")
def joined_sequences(out: list[Output], x: Array, **kwargs: Any) -> Array:
    return x.swapaxes(1, 2).reshape(out[0].shape)


@result("experimental.nlp_concat_heads_decode")
def joined_rows(out: list[Output], x: Array, *, num_heads: int, **kwargs: Any) -> Array:
    return fitted(x[:, :, :num_heads].reshape(1, 1, x.shape[1], -1), out[0].shape)


@result("experimental.rotary_embedding_llama")
def rotated(
    out: list[Output], x: Array, cos: Array, sin: Array, turning: Array, *, is_decode_mode: bool = False, **kwargs: Any
) -> Array:
    """The matrix of one tile turns the pairs within it; the kernel goes over a head tile by tile."""
    size = turning.shape[-1]
    turned = (x.reshape(*x.shape[:-1], -1, size) @ turning.reshape(-1, size)[:size]).reshape(x.shape)
    if is_decode_mode:
        cos, sin = cos[:, : x.shape[1], :1], sin[:, : x.shape[1], :1]
    else:
        cos, sin = cos[:, :, : x.shape[2]], sin[:, :, : x.shape[2]]
    return x * cos + turned * sin


@result("experimental.paged_fill_cache")
def fill(out: list[Output], cache: Array, x: Array, table: Array, *, batch_idx: int = 0, **kwargs: Any) -> Array:
    """Every position of the input is written, padding too, but for blocks that the table leaves out with -1."""
    size = cache.shape[2]
    for place in range(-(-x.shape[2] // size)):
        block = int(table[batch_idx, place])
        if block >= 0:
            part = x[0, :, place * size : (place + 1) * size]
            cache[block, :, : part.shape[1]] = part
    return cache


@result("experimental.paged_update_cache")
def update(out: list[Output], cache: Array, x: Array, *, update_idxs_tensor: Array, page_table: Array, **kwargs: Any) -> Array:
    size = cache.shape[2]
    for row, position in enumerate(update_idxs_tensor.reshape(-1).tolist()):
        if position >= 0:
            cache[int(page_table[row, position // size]), :, position % size] = x[0, row, : cache.shape[1]]
    return cache


@result("transformer.scaled_dot_product_attention")
def over_itself(
    out: list[Output], q: Array, k: Array, v: Array, *, is_causal: bool = True, scale: float, attn_mask: Any = None, **kwargs: Any
) -> Array:
    if not is_causal or attn_mask is not None:
        raise NotImplementedError("only causal attention has values")
    places = np.arange(q.shape[2])
    hidden = places[None, :] > places[:, None]
    return np.stack([_attention(q[row], k[row], v[row], scale, hidden) for row in range(len(q))])


@result("transformer.chunked_scaled_dot_product_attention")
def over_pages(
    out: list[Output], *, input_tensor_q: Array, input_tensor_k: Array, input_tensor_v: Array, page_table_tensor: Array,
    chunk_start_idx: int, scale: float, **kwargs: Any,
) -> Array:  # fmt: skip
    end = chunk_start_idx + input_tensor_q.shape[2]
    hidden = np.arange(end)[None, :] > np.arange(chunk_start_idx, end)[:, None]
    rows = []
    for q, blocks in zip(input_tensor_q, page_table_tensor):
        k, v = _pages(input_tensor_k, blocks, end), _pages(input_tensor_v, blocks, end)
        rows.append(_attention(q, k, v, scale, hidden))
    return np.stack(rows)


@result("transformer.paged_scaled_dot_product_attention_decode")
def of_rows_over_pages(
    out: list[Output], q: Array, keys: Array, values: Array, *, page_table_tensor: Array, cur_pos_tensor: Array, scale: float,
    is_causal: bool = True, **kwargs: Any,
) -> Array:  # fmt: skip
    mixed = np.zeros_like(q)
    for row, position in enumerate(cur_pos_tensor.reshape(-1).tolist()):
        if position >= 0:
            k, v = (_pages(cache, page_table_tensor[row], position + 1) for cache in (keys, values))
            mixed[0, row] = _attention(q[0, row][:, None], k, v, scale, None)[:, 0]
    return fitted(mixed, out[0].shape)


def _pages(cache: Array, blocks: Array, length: int) -> Array:
    """A row's keys or values: (heads, length, head size). A place of -1 has none, which numpy would take for the last block."""
    used = blocks[: -(-length // cache.shape[2])]
    pages = np.where((used >= 0)[:, None, None, None], cache[used], np.float32(NEVER_WRITTEN))
    return pages.swapaxes(0, 1).reshape(cache.shape[1], -1, cache.shape[3])[:, :length]


def _attention(q: Array, k: Array, v: Array, scale: float, hidden: Array | None) -> Array:
    """q is (heads, length, size); several heads share one of k and v."""
    grouped = q.reshape(len(k), -1, *q.shape[1:])
    scores = grouped @ k.swapaxes(1, 2)[:, None] * np.float32(scale)
    if hidden is not None:
        scores[:, :, hidden] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ v[:, None]).reshape(q.shape)
