"""A llama in ttnn's operations, as tt-metal's text models use them: prefill of sequences, and decode of a fixed batch of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import ttnn

from llama_weights import TILE, DecoderWeights, turning_tile

Cache = list[list[Any]]


class LlamaGraph:
    """What runs on the device. Nothing here goes up or comes down, so that all of it can be captured in traces."""

    def __init__(self, weights: DecoderWeights, rows: int) -> None:
        self.weights, self.rows = weights, rows
        self.mesh_device = weights.mesh_device
        # ttnn's chunked attention refuses a scale that is no float32.
        self.scale = float(np.float32(weights.head_size**-0.5))
        self._turning_prefill = self._turning(1)
        # Decode has a row on each core.
        grid = self.mesh_device.compute_with_storage_grid_size()
        self._row_cores = ttnn.num_cores_to_corerangeset(rows, ttnn.CoreCoord(8, min(8, grid.y)), row_wise=True)
        self._turning_decode = ttnn.interleaved_to_sharded(self._turning(rows), self._by_row(TILE, TILE))

    def _turning(self, copies: int) -> Any:
        tiles = np.tile(turning_tile(), (copies, 1))[None, None]
        return ttnn.Tensor(tiles, ttnn.bfloat16, device=self.mesh_device, layout=ttnn.TILE_LAYOUT)

    def _by_row(self, height: int, width: int) -> Any:
        """Sharded: each row of the batch on a core of its own."""
        return ttnn.create_sharded_memory_config(
            shape=(height, width), core_grid=self._row_cores, strategy=ttnn.ShardStrategy.HEIGHT,
            orientation=ttnn.ShardOrientation.ROW_MAJOR, use_height_and_width_as_shard_shape=True,
        )  # fmt: skip

    def cache(self, shape: tuple[int, ...], dtype: Any, layers: int) -> Cache:
        def empty() -> Any:
            return ttnn.empty(shape, dtype=dtype, layout=ttnn.TILE_LAYOUT, device=self.mesh_device)

        return [[empty(), empty()] for _ in range(layers)]

    # Prefill

    def prefill(self, tokens: Any, rows: int, start: int, cache: Cache, fill_table: Any, table: Any = None) -> Any:
        """Hidden states (1, 1, rows * length, hidden) of `rows` sequences of one padded length, whose tokens follow each other.

        Their keys and values are filled in through `fill_table`. Behind `start` cached tokens there is one row, and `table` has its
        pages from the beginning.
        """
        x = self._embedded(tokens)
        length = x.shape[2] // rows
        angles = self.weights.cos_tiles, self.weights.sin_tiles
        cos, sin = (ttnn.slice(part, (0, 0, start, 0), (1, 1, start + length, part.shape[3])) for part in angles)
        for layer, (keys, values) in zip(self.weights.layers, cache):
            normed = self._norm(x, layer["attention_norm"])
            qkv = ttnn.linear(normed, layer["qkv"], dtype=ttnn.bfloat16, memory_config=ttnn.DRAM_MEMORY_CONFIG)
            qkv = ttnn.reshape(qkv, (rows, 1, length, qkv.shape[3]))
            q, k, v = ttnn.experimental.nlp_create_qkv_heads(
                qkv, num_heads=self.weights.heads, num_kv_heads=self.weights.kv_heads, transpose_k_heads=False,
                memory_config=ttnn.DRAM_MEMORY_CONFIG,
            )  # fmt: skip
            q, k = (ttnn.experimental.rotary_embedding_llama(part, cos, sin, self._turning_prefill) for part in (q, k))
            # The fill copies tiles as they are.
            k, v = ttnn.typecast(k, dtype=keys.dtype), ttnn.typecast(v, dtype=values.dtype)
            for row in range(rows):
                self._fill(keys, k, fill_table, row)
                self._fill(values, v, fill_table, row)
            mixed = self._attention(q, k, v, keys, values, start, table)
            joined = ttnn.experimental.nlp_concat_heads(mixed, memory_config=ttnn.DRAM_MEMORY_CONFIG)
            joined = ttnn.reshape(joined, (1, 1, rows * length, joined.shape[3]))
            x = self._rest(x, joined, layer, ttnn.DRAM_MEMORY_CONFIG)
        return x

    def _fill(self, cache: Any, x: Any, table: Any, row: int) -> None:
        """Padding is written too, as far as the table goes."""
        length = min(x.shape[2], table.shape[1] * cache.shape[2])
        part = ttnn.slice(x, (row, 0, 0, 0), (row + 1, x.shape[1], length, x.shape[3]))
        ttnn.experimental.paged_fill_cache(cache, part, table, batch_idx=row)

    def _attention(self, q: Any, k: Any, v: Any, keys: Any, values: Any, start: int, table: Any) -> Any:
        # Chunks must divide the start.
        chunk = 64 if start % 64 == 0 else TILE
        program = ttnn.SDPAProgramConfig(
            compute_with_storage_grid_size=(8, 8), exp_approx_mode=False, q_chunk_size=chunk, k_chunk_size=chunk
        )
        if start == 0:
            return ttnn.transformer.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale, program_config=program)
        return ttnn.transformer.chunked_scaled_dot_product_attention(
            input_tensor_q=q, input_tensor_k=keys, input_tensor_v=values, page_table_tensor=table, chunk_start_idx=start,
            scale=self.scale, program_config=program,
        )  # fmt: skip

    def last_logits(self, x: Any, place: int) -> Any:
        """Logits (1, 1, 1, vocabulary), row major, of the token at `place` of the hidden states."""
        tile = place // TILE * TILE
        x = ttnn.slice(x, (0, 0, tile, 0), (1, 1, tile + TILE, x.shape[3]))
        logits = ttnn.untilize(self._logits(x), use_multicore=True)
        return ttnn.slice(logits, (0, 0, place - tile, 0), (1, 1, place - tile + 1, logits.shape[3]))

    # Decode

    def decode(self, tokens: Any, positions: Any, angles_at: Any, table: Any, cache: Cache) -> Any:
        """Logits (1, 1, 32, vocabulary) in tiles; rows at position -1 are skipped by cache and attention."""
        weights, rows = self.weights, self.rows
        x = ttnn.to_memory_config(self._embedded(tokens), ttnn.L1_MEMORY_CONFIG)
        cos, sin = (self._of_rows(part, angles_at) for part in (weights.cos, weights.sin))
        program = ttnn.SDPAProgramConfig(
            compute_with_storage_grid_size=(8, 8), exp_approx_mode=False, q_chunk_size=0, k_chunk_size=0
        )
        for layer, (keys, values) in zip(weights.layers, cache):
            normed = self._norm(x, layer["attention_norm"])
            qkv = ttnn.linear(normed, layer["qkv"], dtype=ttnn.bfloat16, memory_config=ttnn.L1_MEMORY_CONFIG)
            # The shape has the actual batch, the padded shape the tile.
            qkv = ttnn.reshape(qkv, (1, 1, rows, qkv.shape[3]), (1, 1, TILE, qkv.shape[3]))
            q, k, v = ttnn.experimental.nlp_create_qkv_heads_decode(
                qkv, num_heads=weights.heads, num_kv_heads=weights.kv_heads, memory_config=self._heads_memory()
            )
            q, k = (
                ttnn.experimental.rotary_embedding_llama(part, cos, sin, self._turning_decode, is_decode_mode=True)
                for part in (q, k)
            )
            ttnn.experimental.paged_update_cache(keys, k, update_idxs_tensor=positions, page_table=table)
            ttnn.experimental.paged_update_cache(values, v, update_idxs_tensor=positions, page_table=table)
            mixed = ttnn.transformer.paged_scaled_dot_product_attention_decode(
                q, keys, values, page_table_tensor=table, cur_pos_tensor=positions, scale=self.scale, program_config=program,
                memory_config=ttnn.DRAM_MEMORY_CONFIG,
            )  # fmt: skip
            mixed = ttnn.to_memory_config(mixed, self._by_row(TILE, weights.head_size))
            joined = ttnn.experimental.nlp_concat_heads_decode(mixed, num_heads=weights.heads)
            joined = ttnn.sharded_to_interleaved(joined, ttnn.L1_MEMORY_CONFIG)
            x = self._rest(x, joined, layer, ttnn.L1_MEMORY_CONFIG)
        return self._logits(x)

    def advance(self, positions: Any, angles_at: Any) -> None:
        """The next position of each row that has one."""
        ttnn.plus_one(positions, skip_negative_entries=True)
        ttnn.plus_one(angles_at)

    def _heads_memory(self) -> Any:
        if ttnn.get_arch_name() != "blackhole":
            return ttnn.L1_HEIGHT_SHARDED_MEMORY_CONFIG
        return ttnn.create_sharded_memory_config(
            shape=(TILE, self.weights.head_size), core_grid=ttnn.CoreGrid(y=4, x=8), strategy=ttnn.ShardStrategy.HEIGHT,
            orientation=ttnn.ShardOrientation.ROW_MAJOR, use_height_and_width_as_shard_shape=True,
        )  # fmt: skip

    def _of_rows(self, table: Any, angles_at: Any) -> Any:
        """(1, rows, 1, head size), a row on each core."""
        table = ttnn.embedding(angles_at, table, layout=ttnn.TILE_LAYOUT, memory_config=ttnn.DRAM_MEMORY_CONFIG)
        table = ttnn.transpose(ttnn.unsqueeze_to_4D(table), 1, 2)
        if self.rows < TILE:
            table = ttnn.slice(table, (0, 0, 0, 0), (1, self.rows, 1, table.shape[3]))
        return ttnn.interleaved_to_sharded(table, self._by_row(TILE, table.shape[3]))

    # Both

    def _embedded(self, tokens: Any) -> Any:
        return ttnn.unsqueeze_to_4D(ttnn.embedding(tokens, self.weights.embedding, layout=ttnn.TILE_LAYOUT))

    def _norm(self, x: Any, weight: Any) -> Any:
        return ttnn.rms_norm(x, epsilon=self.weights.epsilon, weight=weight)

    def _rest(self, x: Any, mixed: Any, layer: dict[str, Any], memory: Any) -> Any:
        x = ttnn.add(x, ttnn.linear(mixed, layer["attention_output"], dtype=ttnn.bfloat16, memory_config=memory))
        normed = self._norm(x, layer["feed_forward_norm"])
        gate, up = (ttnn.linear(normed, layer[name], dtype=ttnn.bfloat16, memory_config=memory) for name in ("gate", "up"))
        gated = ttnn.mul(gate, up, input_tensor_a_activations=[ttnn.UnaryOpType.SILU], memory_config=memory)
        return ttnn.add(x, ttnn.linear(gated, layer["down"], dtype=ttnn.bfloat16, memory_config=memory))

    def _logits(self, x: Any) -> Any:
        normed = self._norm(x, self.weights.final_norm)
        return ttnn.linear(normed, self.weights.output, dtype=ttnn.bfloat16, memory_config=ttnn.DRAM_MEMORY_CONFIG)
