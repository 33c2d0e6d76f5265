"""Prefill steps: rows padded to the lengths that programs exist for, computed together where they can be, else one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import ttnn

from llama_graph import Cache, LlamaGraph
from llama_weights import TILE

# Of padded tokens, for rows computed together.
MAX_TOGETHER = 4096
EARLY_CHUNK = 64


def padded_length(length: int) -> int:
    """128, 1024, then powers of two."""
    return 128 if length <= 128 else 1024 if length <= 1024 else 1 << (length - 1).bit_length()


class PrefillRows:
    """Runs prefill steps and keeps their traces.

    With `begins_early` it computes more than it must, as tt-metal's generators do: rows of one padded length are computed together
    from their beginnings, whatever of them is cached, and a row on its own begins at a chunk of attention.
    """

    def __init__(self, graph: LlamaGraph, cache: Cache, begins_early: bool) -> None:
        self.graph, self.cache, self.begins_early = graph, cache, begins_early
        self.block_size: int = cache[0][0].shape[2]
        # By padded length: the trace, its inputs and its output.
        self._traces: dict[int, tuple[int, Any, Any, Any]] = {}

    def run(self, tokens: np.ndarray, table: np.ndarray, ends: list[int], starts: list[int], traced: bool) -> list[Any]:
        """Logits (1, 1, 1, vocabulary) of each row's last token."""
        for start, end in zip(starts, ends):
            if start % self.block_size or start % TILE or not 0 <= start < end:
                raise ValueError(
                    f"a prefill from {start} to {end} must begin with a block of {self.block_size} and a tile of {TILE}"
                )
        lengths = {padded_length(end if self.begins_early else end - start) for start, end in zip(starts, ends)}
        fits = len(ends) > 1 and len(lengths) == 1 and max(lengths) * len(ends) <= MAX_TOGETHER
        if fits and (self.begins_early or not any(starts)):
            return self._together(tokens, table, ends)
        if self.begins_early:
            # Of whole blocks too, where these are larger.
            unit = max(EARLY_CHUNK, self.block_size)
            starts = [start // unit * unit for start in starts]
        return [
            self._behind(tokens[row], table[row], start, end) if start else self._alone(tokens[row], table[row], end, traced)
            for row, (start, end) in enumerate(zip(starts, ends))
        ]

    def release(self) -> None:
        for trace, *_ in self._traces.values():
            ttnn.release_trace(self.graph.mesh_device, trace)
        self._traces.clear()

    def _together(self, tokens: np.ndarray, table: np.ndarray, ends: list[int]) -> list[Any]:
        """Their tokens follow each other; places of pages behind the longest row's padding are left out."""
        length = padded_length(max(ends))
        padded = np.stack([_padded(tokens[row, :end], length) for row, end in enumerate(ends)])
        pages = self._uploaded(table[:, : self._blocks(length)], ttnn.int32)
        hidden = self.graph.prefill(self._tokens(padded), len(ends), 0, self.cache, pages)
        return [self.graph.last_logits(hidden, row * length + end - 1) for row, end in enumerate(ends)]

    def _alone(self, tokens: np.ndarray, table: np.ndarray, end: int, traced: bool) -> Any:
        length = padded_length(end)
        padded = _padded(tokens[:end], length)
        # Table entries for all of the padded length, as far as there are any: padding is written through them.
        pages = table[None, : self._blocks(length)]
        if not traced:
            hidden = self.graph.prefill(self._tokens(padded), 1, 0, self.cache, self._uploaded(pages, ttnn.int32))
        else:
            # A trace has one width; -1 leaves a page out.
            missing = self._blocks(length) - pages.shape[1]
            hidden = self._traced(length, padded, np.pad(pages, ((0, 0), (0, missing)), constant_values=-1))
        return self.graph.last_logits(hidden, end - 1)

    def _traced(self, length: int, padded: np.ndarray, pages: np.ndarray) -> Any:
        if length not in self._traces:
            tokens, table = self._tokens(padded), self._uploaded(pages, ttnn.int32)
            # The first run compiles; what it writes, the trace writes again.
            self.graph.prefill(tokens, 1, 0, self.cache, table)
            trace = ttnn.begin_trace_capture(self.graph.mesh_device, cq_id=0)
            hidden = self.graph.prefill(tokens, 1, 0, self.cache, table)
            ttnn.end_trace_capture(self.graph.mesh_device, trace, cq_id=0)
            self._traces[length] = (trace, tokens, table, hidden)
        trace, tokens, table, hidden = self._traces[length]
        self._copy(padded.reshape(1, 1, 1, -1).astype(np.uint32), ttnn.uint32, tokens)
        self._copy(pages.astype(np.int32), ttnn.int32, table)
        ttnn.execute_trace(self.graph.mesh_device, trace, cq_id=0, blocking=False)
        return hidden

    def _behind(self, tokens: np.ndarray, table: np.ndarray, start: int, end: int) -> Any:
        """A row whose first tokens are in the cache: attention reads them through the table."""
        length = padded_length(end - start)
        # All computed tokens need pages; beyond the table's end block 0, which belongs to no row, takes the padding.
        pages = np.zeros((1, self._blocks(start + length)), np.int32)
        count = min(len(table), pages.shape[1])
        pages[0, :count] = table[:count]
        new = pages[:, start // self.block_size :]
        hidden = self.graph.prefill(
            self._tokens(_padded(tokens[start:end], length)), 1, start, self.cache, self._uploaded(new, ttnn.int32),
            self._uploaded(pages, ttnn.int32),
        )  # fmt: skip
        return self.graph.last_logits(hidden, end - start - 1)

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def _tokens(self, padded: np.ndarray) -> Any:
        return self._uploaded(padded.reshape(1, 1, 1, -1), ttnn.uint32)

    def _uploaded(self, values: np.ndarray, dtype: Any) -> Any:
        values = np.ascontiguousarray(values, np.uint32 if dtype == ttnn.uint32 else np.int32)
        return ttnn.Tensor(values, dtype, device=self.graph.mesh_device, layout=ttnn.ROW_MAJOR_LAYOUT)

    def _copy(self, values: np.ndarray, dtype: Any, tensor: Any) -> None:
        ttnn.copy_host_to_device_tensor(ttnn.Tensor(values, dtype, layout=ttnn.ROW_MAJOR_LAYOUT), tensor)


def _padded(tokens: np.ndarray, length: int) -> np.ndarray:
    return np.pad(tokens, (0, length - len(tokens)))
