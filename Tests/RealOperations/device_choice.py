"""Choosing tokens on the device: the best of all where every row is greedy, else a draw among the best 32 of each row."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import ttnn

from llama_weights import TILE

MAX_TOP_K = 32
_KEEP_SEED = 2**32 - 1


class DeviceChoice:
    """Sampling parameters on the device, one set for each of 32 rows; and the operations that use them."""

    def __init__(self, mesh_device: Any, vocabulary: int) -> None:
        self.mesh_device, self.vocabulary = mesh_device, vocabulary
        # Every row is greedy: then no parameters are needed.
        self.is_greedy = True
        self._k = self._uploaded(np.ones(TILE, np.uint32), ttnn.uint32)
        self._p = self._uploaded(np.ones(TILE, np.float32), ttnn.bfloat16)
        self._inverse_temperature = self._uploaded(np.ones(TILE, np.float32), ttnn.bfloat16)
        self._seeds = self._uploaded(np.arange(TILE, dtype=np.uint32), ttnn.uint32)
        self._rows = self._uploaded(np.arange(TILE, dtype=np.uint32), ttnn.uint32)
        # For rows without a seed: another one each time.
        self._own_seeds = itertools.count(1)

    def load(self, params: Any) -> None:
        """`params` has lists with a value for each row; top_k above 32 or below 1 is 32."""
        count = len(params.temperature)
        k, p, inverse = np.ones(TILE, np.uint32), np.ones(TILE, np.float32), np.ones(TILE, np.float32)
        for row in range(count):
            temperature, top_k, top_p = params.temperature[row], params.top_k[row], params.top_p[row]
            if temperature > 0 and top_k != 1:
                k[row] = top_k if 1 <= top_k <= MAX_TOP_K else MAX_TOP_K
                p[row], inverse[row] = top_p, 1 / temperature
        self.is_greedy = bool((k == 1).all())
        for values, dtype, tensor in (
            (k, ttnn.uint32, self._k), (p, ttnn.bfloat16, self._p), (inverse, ttnn.bfloat16, self._inverse_temperature)
        ):  # fmt: skip
            self._copy(values, dtype, tensor)

    def seed(self, params: Any) -> None:
        """Begins the rows' streams of random numbers anew."""
        seeds = np.full(TILE, _KEEP_SEED, np.uint32)
        for row, seed in enumerate(params.seed or [None] * len(params.temperature)):
            seeds[row] = next(self._own_seeds) if seed is None else seed
        self._copy(seeds, ttnn.uint32, self._seeds)
        ttnn.manual_seed(seeds=self._seeds, user_ids=self._rows)

    def choose(self, logits: Any, greedy: bool, into: Any = None) -> Any:
        """Tokens (1, 1, 1, 32) of logits (1, 1, 32, vocabulary) in tiles, where it is given, into a tensor of before."""
        if greedy:
            return self.best(ttnn.untilize(logits, use_multicore=True), into)
        # The last dimension must be a power of two for topk and sampling.
        width = 1 << (self.vocabulary - 1).bit_length()
        logits = ttnn.pad(logits, [(0, 0), (0, 0), (0, 0), (0, width - logits.shape[3])], value=-1e30)
        values, places = ttnn.topk(logits, k=MAX_TOP_K, dim=-1)
        tokens = ttnn.untilize(ttnn.typecast(places, dtype=ttnn.int32), use_multicore=True)
        return ttnn.sampling(values, tokens, k=self._k, p=self._p, temp=self._inverse_temperature, output_tensor=into)

    def best(self, logits: Any, into: Any = None) -> Any:
        """Of logits in rows."""
        return ttnn.argmax(logits, dim=-1, keepdim=False, output_tensor=into)

    def _uploaded(self, values: np.ndarray, dtype: Any) -> Any:
        return ttnn.Tensor(values, dtype, device=self.mesh_device, layout=ttnn.ROW_MAJOR_LAYOUT)

    def _copy(self, values: np.ndarray, dtype: Any, tensor: Any) -> None:
        ttnn.copy_host_to_device_tensor(ttnn.Tensor(values, dtype, layout=ttnn.ROW_MAJOR_LAYOUT), tensor)
