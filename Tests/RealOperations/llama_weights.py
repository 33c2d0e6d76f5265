"""A llama's weights on the mesh, from a GGUF file, in the layouts that ttnn's operations take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import ttnn

# Behind site-packages: that folder has a stand-in for ttnn too.
sys.path.append(str(Path(__file__).resolve().parent.parent / "ContractModel"))
import gguf_weights  # noqa: E402

TILE = 32


class DecoderWeights:
    """Sizes and tensors. `dtype` is the matrices' type on the device."""

    def __init__(self, path: str, mesh_device: Any, dtype: Any, longest: int) -> None:
        metadata, tensors = gguf_weights.read(path)
        get = lambda key, default=None: metadata.get("llama." + key, default)  # noqa: E731
        self.mesh_device, self.dtype, self._tensors = mesh_device, dtype, tensors
        self.layer_count: int = get("block_count")
        self.heads: int = get("attention.head_count")
        self.kv_heads: int = get("attention.head_count_kv", self.heads)
        self.epsilon: float = get("attention.layer_norm_rms_epsilon")
        self.vocabulary, self.hidden = tensors["token_embd.weight"].shape
        self.head_size: int = get("attention.key_length", self.hidden // self.heads)
        for what, size in (("hidden size", self.hidden), ("head size", self.head_size), ("vocabulary", self.vocabulary)):
            if size % TILE:
                raise ValueError(f"a {what} of {size} is no multiple of {TILE}, which these operations want")
        self.embedding = self._rows(tensors["token_embd.weight"])
        self.final_norm = self._norm("output_norm")
        self.output = self._matrix(tensors.get("output.weight", tensors["token_embd.weight"]))
        self.layers = [self._layer(f"blk.{layer}.") for layer in range(self.layer_count)]
        frequencies = self._frequencies(get("rope.dimension_count", self.head_size), get("rope.freq_base", 10000.0))
        angles = self._angles(frequencies, longest)
        # Rows are looked up by position in decode; prefill takes a part of the tiles.
        self.cos, self.sin = self._rows(np.cos(angles)), self._rows(np.sin(angles))
        self.cos_tiles, self.sin_tiles = self._tiles(np.cos(angles)), self._tiles(np.sin(angles))
        del self._tensors

    def _layer(self, prefix: str) -> dict[str, Any]:
        def of(name: str) -> np.ndarray:
            return self._tensors[f"{prefix}{name}.weight"]

        return {
            "attention_norm": self._norm(prefix + "attn_norm"),
            "qkv": self._matrix(np.concatenate([of("attn_q"), of("attn_k"), of("attn_v")])),
            "attention_output": self._matrix(of("attn_output")),
            "feed_forward_norm": self._norm(prefix + "ffn_norm"),
            "gate": self._matrix(of("ffn_gate")),
            "up": self._matrix(of("ffn_up")),
            "down": self._matrix(of("ffn_down")),
        }

    def _matrix(self, weight: np.ndarray) -> Any:
        """[out, in] of the file as (1, 1, in, out)."""
        return self._tiles(weight.T, self.dtype)

    def _norm(self, name: str) -> Any:
        """Rows of a tile's width, as `rms_norm` wants them where they are not in tiles."""
        weight = self._tensors[name + ".weight"].reshape(1, 1, -1, TILE)
        return ttnn.Tensor(weight, ttnn.bfloat16, device=self.mesh_device, layout=ttnn.ROW_MAJOR_LAYOUT)

    def _rows(self, values: np.ndarray) -> Any:
        """A table that `embedding` looks rows up in."""
        return self._uploaded(values, ttnn.bfloat16, ttnn.ROW_MAJOR_LAYOUT)

    def _tiles(self, values: np.ndarray, dtype: Any = ttnn.bfloat16) -> Any:
        return self._uploaded(values, dtype, ttnn.TILE_LAYOUT)

    def _uploaded(self, values: np.ndarray, dtype: Any, layout: Any) -> Any:
        values = np.ascontiguousarray(values, np.float32)[None, None]
        return ttnn.Tensor(values, dtype, device=self.mesh_device, layout=layout)

    def _frequencies(self, rotated: int, base: float) -> np.ndarray:
        """One for each pair of a head; what is not rotated stays where it is."""
        powers = np.arange(0, rotated, 2, dtype=np.float64) / rotated
        frequencies = np.zeros(self.head_size // 2)
        frequencies[: rotated // 2] = base**-powers
        if "rope_freqs.weight" in self._tensors:
            frequencies[: rotated // 2] /= self._tensors["rope_freqs.weight"]
        return frequencies

    @staticmethod
    def _angles(frequencies: np.ndarray, longest: int) -> np.ndarray:
        """By position, each twice for the two of a pair: neighbours, as GGUF's llama has them."""
        return np.repeat(np.arange(longest, dtype=np.float64)[:, None] * frequencies, 2, axis=1)


def turning_tile() -> np.ndarray:
    """The matrix that makes (a, b) of each pair into (-b, a)."""
    tile = np.zeros((TILE, TILE), np.float32)
    even = np.arange(0, TILE, 2)
    tile[even + 1, even] = -1
    tile[even, even + 1] = 1
    return tile
