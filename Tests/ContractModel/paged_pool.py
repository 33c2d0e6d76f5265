"""The paged pool of keys and values, with a record of which token of which sequence lies at each place of it."""

from __future__ import annotations

from typing import Any

import numpy as np

# What a prefill's padding leaves behind. Not NaN, which would show itself where the device shows nothing.
GARBAGE = np.float32(1e3)
_LONGEST = 1 << 17
_FACTORS = np.random.default_rng(5).integers(1, 1 << 63, _LONGEST, np.uint64) | np.uint64(1)

Places = tuple[np.ndarray, np.ndarray]


def chain(tokens: np.ndarray, start: int, before: np.uint64) -> np.ndarray:
    """One number for each token from `start` on that stands for it and for all tokens before it; `before` is the last one's."""
    factors = _FACTORS[start : start + len(tokens)]
    return before + np.cumsum((tokens.astype(np.uint64) + np.uint64(1)) * factors, dtype=np.uint64)


class PagedPool:
    """Blocks of all layers. A place is a block and an offset in it; a block of -1 is nowhere."""

    def __init__(self, layers: int, shape: tuple[int, ...]) -> None:
        self.blocks, self.block_size = shape[0], shape[2]
        # What was never written must not look like zeros.
        self.layers = [(np.full(shape, 7, np.float32), np.full(shape, 7, np.float32)) for _ in range(layers)]
        # As tt-metal nests it: for each submesh, for each layer, keys and values.
        self.kv_cache: list[Any] = [[[keys, values] for keys, values in self.layers]]
        # 0 is no token: never written, or spoilt.
        self.identities = np.zeros((self.blocks, self.block_size), np.uint64)

    def places(self, table: np.ndarray, first: int, count: int) -> Places:
        """`count` places from the table's place `first` on; what the table does not have is nowhere."""
        index = np.arange(first, first + max(0, count))
        entries = index // self.block_size
        blocks = np.where(entries < len(table), table[np.minimum(entries, len(table) - 1)], -1)
        return blocks, index % self.block_size

    def spoil(self, places: Places) -> None:
        """Garbage at the places, in all layers."""
        blocks, offsets = self.forget(places)
        for keys, values in self.layers:
            keys[blocks, :, offsets] = GARBAGE
            values[blocks, :, offsets] = GARBAGE

    def forget(self, places: Places) -> Places:
        """Records that the places hold no token any more; gives those that are somewhere, each once."""
        kept = places[0] >= 0
        codes = np.unique(places[0][kept] * self.block_size + places[1][kept])
        blocks, offsets = codes // self.block_size, codes % self.block_size
        self.identities[blocks, offsets] = 0
        return blocks, offsets

    def note(self, places: Places, tokens: np.ndarray, start: int, table: np.ndarray) -> None:
        """Records that a row's tokens from `start` on were written at the places."""
        before = np.uint64(0)
        if start:
            before = self.identities[table[(start - 1) // self.block_size], (start - 1) % self.block_size]
        kept = places[0] >= 0
        self.identities[places[0][kept], places[1][kept]] = chain(tokens, start, before)[kept]

    def note_step(self, tokens: np.ndarray, positions: np.ndarray, tables: np.ndarray) -> None:
        """The same for a decode step: a token of each row at its position."""
        rows = np.arange(len(tokens))
        last = np.maximum(positions - 1, 0)
        before = self.identities[tables[rows, last // self.block_size], last % self.block_size]
        before = np.where(positions > 0, before, np.uint64(0))
        written = before + (tokens.astype(np.uint64) + np.uint64(1)) * _FACTORS[positions]
        self.identities[tables[rows, positions // self.block_size], positions % self.block_size] = written

    def holds(self, table: np.ndarray, tokens: np.ndarray) -> bool:
        """Whether the row's blocks hold the keys and values of just these tokens, from position 0 on."""
        blocks, offsets = self.places(table, 0, len(tokens))
        if (blocks < 0).any():
            return False
        return bool((self.identities[blocks, offsets] == chain(tokens, 0, np.uint64(0))).all())
