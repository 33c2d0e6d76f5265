"""The caller's account: checks what a caller of a TT model sends, whatever the class itself would let pass.

It follows sequences by their blocks, not by the slots of their prefill, as a prefill may be laid out in other slots than
the rows have in decode steps. Its methods are called before the model runs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from paged_pool import PagedPool
from record import counts, require


@dataclass
class Sequence:
    """What was prefilled: its next position and the blocks that hold it."""

    next_position: int
    blocks: list[int]

    def continues(self, position: int, used: list[int]) -> bool:
        return self.next_position == position and used[: len(self.blocks)] == self.blocks


@dataclass
class Account:
    """The account of one model. With `enforces` false it only counts: for showing what the device does with wrong calls."""

    rows: int
    max_seq_len: int
    enforces: bool = True
    pool: PagedPool | None = None
    width: int = 0
    slots: list[Sequence | None] = field(default_factory=list)
    prefilled: list[Sequence] = field(default_factory=list)
    active: tuple[bool, ...] | None = None
    was_on_device: bool = False
    prefilled_since: bool = False

    def allocate(self, pool: PagedPool) -> None:
        self._require(self.pool is None, "the KV cache is allocated twice")
        self.pool, self.slots = pool, [None] * self.rows

    def prefill(self, tokens: Any, table: Any, ends: Any, starts: list[int], slots: Any) -> None:
        assert self.pool is not None
        counts["prefills"] += 1
        rows, size = len(ends), self.pool.block_size
        self._require(_is_int32(tokens, 2), "tokens are int32 [N, longest end]")
        self._require(tokens.shape == (rows, max(ends)), f"tokens of shape {tokens.shape} for {ends}")
        self._page_table(table, rows, -1)
        known = len(set(slots)) == rows and all(0 <= slot < self.rows for slot in slots)
        self._require(known, f"a prefill of {rows} rows in the slots {list(slots)}")
        written: set[int] = set()
        for row, (start, end) in enumerate(zip(starts, ends)):
            self._require(0 <= start < end <= self.max_seq_len, f"a prefill from {start} to {end}")
            used = table[row, : -(-end // size)].tolist()
            self._require(min(used) >= 0, f"a row of {end} tokens has the blocks {used}")
            own = used[start // size :]
            fresh = len(set(used)) == len(used) and written.isdisjoint(own)
            self._require(fresh, f"blocks {own} are written twice in a prefill")
            self._require(
                self.pool.holds(table[row], tokens[row, :start]), f"row {row}'s blocks {used} do not hold its {start} cached tokens"
            )
            written.update(own)
            counts["prefilled rows"] += 1
            counts["useful tokens"] += end - start
            counts["cached tokens"] += start
        # Whoever had the blocks that are written now has ended, and is found out where it decodes again.
        self.slots = [None if slot is None or written & set(slot.blocks) else slot for slot in self.slots]
        self.prefilled = [sequence for sequence in self.prefilled if not written & set(sequence.blocks)]
        self.prefilled += [Sequence(end, table[row, : -(-end // size)].tolist()) for row, end in enumerate(ends)]
        self.prefilled_since = True

    def decode(self, tokens: Any, positions: Any, table: Any, remap: Any, on_device: bool) -> bool:
        """Checks the inputs; true where the step is a transition, after which the device's own inputs are not right."""
        counts["decodes"] += 1
        self._require(_is_int32(tokens, 2) and tokens.shape == (self.rows, 1), "decode tokens are int32 [B, 1]")
        self._require(_is_int32(positions, 1) and len(positions) == self.rows, "decode positions are int32 [B]")
        self._page_table(table, self.rows, 0)
        moved = self._remap(remap)
        active = tuple((positions >= 0).tolist())
        self._require(any(active), "a decode step without rows")
        size = 1 if self.pool is None else self.pool.block_size
        readers: Counter[int] = Counter()
        for row in range(self.rows):
            if active[row]:
                used = table[row, : int(positions[row]) // size + 1].tolist()
                readers.update(used)
                self._row(row, int(positions[row]), used)
            else:
                padding = positions[row] == -1 and tokens[row, 0] == 0 and not table[row].any()
                self._require(padding, f"padding row {row} has token {tokens[row, 0]} at {positions[row]}, table {table[row]}")
                self.slots[row] = None
        for row in np.flatnonzero(active).tolist():
            block = int(table[row, int(positions[row]) // size])
            self._require(readers[block] == 1, f"row {row} writes block {block}, which is also elsewhere in a page table")
        changed = self.active is None or self.prefilled_since or moved or active != self.active
        transition = changed or (on_device and not self.was_on_device)
        counts["transitions" if transition else "steady steps"] += 1
        counts["steps sampled on the device" if on_device else "steps sampled on the host"] += 1
        self.active, self.was_on_device, self.prefilled_since = active, on_device, False
        return transition

    def reset(self, given: Any, transition: bool, on_device: bool) -> None:
        """The layout changed: steps that sample on the device must pass the sampling state."""
        self._require(isinstance(given, bool), f"the reset of sampling's state is {given!r}")
        self._require(given or not (transition and on_device), "a transition does not reset sampling's state")
        counts["unneeded resets"] += given and not transition

    def merge(self, old: list[int]) -> None:
        """A device that compares positions takes what it has for a row's newest: it must not have something old."""
        self._require(not old, f"rows {old} may go on from what the device had before the last step")

    def sampling(self, sampling: Any, rows: int, active: Any) -> None:
        """Lists for all rows, of what the device can draw: it takes any other top_k for 32 without a word."""
        for name in ("temperature", "top_k", "top_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty"):
            value = getattr(sampling, name)
            self._require(isinstance(value, list) and len(value) == rows, f"{name} is {value!r} for {rows} rows")
        for row in active:
            drawn = sampling.temperature[row] != 0
            self._require(not drawn or 1 <= sampling.top_k[row] <= 32, f"top_k {sampling.top_k[row]} on a device that has 32")

    def _row(self, row: int, position: int, used: list[int]) -> None:
        self._require(position < self.max_seq_len, f"row {row} decodes position {position} of {self.max_seq_len}")
        slot = self.slots[row]
        if slot is None or not slot.continues(position, used):
            slot = next((sequence for sequence in self.prefilled if sequence.continues(position, used)), None)
            if slot is not None:
                self.prefilled.remove(slot)
        self._require(slot is not None, f"row {row} decodes position {position} in blocks {used}, after {self.slots[row]}")
        if slot is not None:
            counts["appended blocks"] += len(used) - len(slot.blocks)
            slot.blocks, slot.next_position = used, position + 1
        self.slots[row] = slot

    def _remap(self, remap: Any) -> bool:
        if remap is None:
            return False
        order = remap.tolist()
        self._require(_is_int32(remap, 1) and sorted(order) == list(range(self.rows)), f"slot_remap {order}")
        moved = order != list(range(self.rows))
        counts["remaps"] += moved
        self.slots = [self.slots[source] for source in order]
        return moved

    def _page_table(self, table: Any, rows: int, least: int) -> None:
        assert self.pool is not None
        self._require(_is_int32(table, 2), "a page table is int32 [N, W]")
        self.width = self.width or table.shape[1]
        self._require(table.shape == (rows, self.width), f"a page table of {table.shape}, not {(rows, self.width)}")
        longest = -(-self.max_seq_len // self.pool.block_size)
        self._require(self.width <= longest, f"a page table of {self.width} blocks for {self.max_seq_len} tokens")
        known = ((table >= least) & (table < self.pool.blocks)).all()
        self._require(known, "a page table names a block that does not exist")

    def _require(self, condition: object, what: str) -> None:
        if self.enforces:
            require(condition, what)


def _is_int32(value: Any, dimensions: int) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.int32 and value.ndim == dimensions
