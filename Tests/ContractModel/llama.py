"""A llama in numpy and float32 whose keys and values lie in a paged pool, read and written through page tables alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import gguf_weights


class Llama:
    """Weights and arithmetic; the pool is the caller's."""

    def __init__(self, path: str) -> None:
        metadata, tensors = gguf_weights.read(path)
        get = lambda key, default=None: metadata.get("llama." + key, default)  # noqa: E731
        self.layers = get("block_count")
        self.heads = get("attention.head_count")
        self.kv_heads = get("attention.head_count_kv", self.heads)
        self.epsilon = get("attention.layer_norm_rms_epsilon")
        self.embedding = tensors["token_embd.weight"]
        self.head_size = get("attention.key_length", self.embedding.shape[1] // self.heads)
        self.output = tensors.get("output.weight", self.embedding)
        self.final_norm = tensors["output_norm.weight"]
        self.blocks = [
            {
                name: tensors[f"blk.{layer}.{name}.weight"]
                for name in (
                    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"
                )
            }
            for layer in range(self.layers)
        ]  # fmt: skip
        rotated = get("rope.dimension_count", self.head_size)
        powers = np.arange(0, rotated, 2, dtype=np.float64) / rotated
        self.frequencies = get("rope.freq_base", 10000.0) ** -powers
        if "rope_freqs.weight" in tensors:
            self.frequencies = self.frequencies / tensors["rope_freqs.weight"]

    @property
    def vocabulary(self) -> int:
        return self.embedding.shape[0]

    def forward(self, tokens: np.ndarray, positions: np.ndarray, tables: np.ndarray, pool: Any) -> np.ndarray:
        """One token of each of n rows at its own position; the keys before it are in the row's blocks. Gives [n, V]."""
        cos, sin = self._angles(positions)
        block_size = pool[0][0].shape[2]
        blocks = tables[np.arange(len(tokens)), positions // block_size]
        used = tables[:, : int(positions.max()) // block_size + 1]
        hidden = self.embedding[tokens]
        mask = np.arange(used.shape[1] * block_size)[None, :] > positions[:, None]
        for layer, (keys, values) in zip(self.blocks, pool):
            q, k, v = self._projections(hidden, layer, cos, sin)
            keys[blocks, :, positions % block_size] = k
            values[blocks, :, positions % block_size] = v
            # [n, blocks, heads, block size, d] to [n, heads, positions, d]
            all_k = keys[used].transpose(0, 2, 1, 3, 4).reshape(len(tokens), self.kv_heads, -1, self.head_size)
            all_v = values[used].transpose(0, 2, 1, 3, 4).reshape(len(tokens), self.kv_heads, -1, self.head_size)
            scores = q.reshape(len(tokens), self.kv_heads, -1, self.head_size) @ all_k.transpose(0, 1, 3, 2)
            mixed = _softmax(scores, mask[:, None, None, :]) @ all_v
            hidden = self._rest(hidden, mixed.reshape(len(tokens), -1), layer)
        return self._logits(hidden)

    def prefill(
        self, tokens: np.ndarray, start: int, table: np.ndarray, pool: Any, places: Any = None, spoil: Any = None
    ) -> np.ndarray:
        """The row's tokens from position `start` on. Gives the last one's logits, [V].

        Keys and values go to `places`, of which a block of -1 is nowhere, or where the table says; `spoil` is called between
        writing and reading. A row that starts at 0 attends to what it has computed, another one to what the pool holds.
        """
        positions = np.arange(start, start + len(tokens))
        cos, sin = self._angles(positions)
        block_size = pool[0][0].shape[2]
        end = start + len(tokens)
        used = table[: (end - 1) // block_size + 1]
        blocks, offsets = (table[positions // block_size], positions % block_size) if places is None else places
        kept = blocks >= 0
        hidden = self.embedding[tokens]
        mask = np.arange(end)[None, :] > positions[:, None]
        for layer, (keys, values) in zip(self.blocks, pool):
            q, k, v = self._projections(hidden, layer, cos, sin)
            keys[blocks[kept], :, offsets[kept]] = k[kept]
            values[blocks[kept], :, offsets[kept]] = v[kept]
            if spoil is not None:
                spoil(keys, values)
            if start:
                # [blocks, heads, block size, d] to [heads, positions, d]
                all_k = keys[used].transpose(1, 0, 2, 3).reshape(self.kv_heads, -1, self.head_size)[:, :end]
                all_v = values[used].transpose(1, 0, 2, 3).reshape(self.kv_heads, -1, self.head_size)[:, :end]
            else:
                all_k, all_v = k.transpose(1, 0, 2), v.transpose(1, 0, 2)
            group = self.heads // self.kv_heads
            grouped = q.reshape(len(tokens), self.kv_heads, group, self.head_size).transpose(1, 2, 0, 3)
            weights = _softmax(grouped @ all_k.transpose(0, 2, 1)[:, None], mask[None, None])
            mixed = (weights @ all_v[:, None]).transpose(2, 0, 1, 3).reshape(len(tokens), -1)
            hidden = self._rest(hidden, mixed, layer)
        return self._logits(hidden[-1:])[0]

    def _angles(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angles = positions[:, None].astype(np.float64) * self.frequencies
        return np.cos(angles).astype(np.float32)[:, None], np.sin(angles).astype(np.float32)[:, None]

    def _projections(self, hidden: np.ndarray, layer: dict[str, np.ndarray], cos: np.ndarray, sin: np.ndarray) -> Any:
        x = self._norm(hidden, layer["attn_norm"])
        q = (x @ layer["attn_q"].T).reshape(len(x), self.heads, self.head_size)
        k = (x @ layer["attn_k"].T).reshape(len(x), self.kv_heads, self.head_size)
        v = (x @ layer["attn_v"].T).reshape(len(x), self.kv_heads, self.head_size)
        q = _rotated(q, cos, sin) * np.float32(self.head_size**-0.5)
        return q, _rotated(k, cos, sin), v

    def _rest(self, hidden: np.ndarray, mixed: np.ndarray, layer: dict[str, np.ndarray]) -> np.ndarray:
        hidden = hidden + mixed @ layer["attn_output"].T
        x = self._norm(hidden, layer["ffn_norm"])
        gate = x @ layer["ffn_gate"].T
        return hidden + (gate / (1 + np.exp(-gate)) * (x @ layer["ffn_up"].T)) @ layer["ffn_down"].T

    def _logits(self, hidden: np.ndarray) -> np.ndarray:
        return self._norm(hidden, self.final_norm) @ self.output.T

    def _norm(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.epsilon)) * weight


def _rotated(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Turns neighbouring pairs, as GGUF's llama has them; what lies beyond the rotated dimensions stays."""
    count = 2 * cos.shape[-1]
    even, odd = x[..., 0:count:2], x[..., 1:count:2]
    turned = x.copy()
    turned[..., 0:count:2] = even * cos - odd * sin
    turned[..., 1:count:2] = even * sin + odd * cos
    return turned


def _softmax(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    scores = np.where(mask, np.float32(-np.inf), scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
