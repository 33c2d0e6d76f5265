"""Checks every call to a TT model against the contract, by keeping its own account of slots, blocks and resident inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from record import counts, require


@dataclass
class Slot:
    """A sequence in the device batch: its next position and the blocks that hold it."""

    next_position: int
    blocks: list[int]


@dataclass
class Step:
    """What a decode step left on the device."""

    active: tuple[bool, ...]
    table: np.ndarray
    on_device: bool


@dataclass
class ContractWatch:
    """The account. Its methods are called with the arguments of the model's calls, before the model runs."""

    rows: int
    max_seq_len: int
    blocks: int = 0
    block_size: int = 0
    width: int = 0
    slots: list[Slot | None] = field(default_factory=list)
    last: Step | None = None
    prefilled_since: bool = False
    grew: bool = False
    traces: dict[str, bool] = field(default_factory=dict)

    def allocate(self, shape: tuple[int, ...]) -> None:
        require(not self.slots, "the KV cache is allocated twice")
        self.blocks, self.block_size = shape[0], shape[2]
        self.slots = [None] * self.rows

    def page_table(self, table: Any, rows: int) -> None:
        require(isinstance(table, np.ndarray) and table.dtype == np.int32 and table.ndim == 2, "a page table is int32 [N, W]")
        self.width = self.width or table.shape[1]
        expected = min(-(-self.max_seq_len // self.block_size), self.blocks)
        require(table.shape == (rows, self.width) and self.width == expected, f"a page table of {table.shape}, not {(rows, expected)}")
        require(((table >= 0) & (table < self.blocks)).all(), "a page table names a block that does not exist")

    def trace(self, phase: str, enabled: Any) -> None:
        require(isinstance(enabled, bool), f"enable_trace of {phase} is {enabled!r}")
        require(self.traces.setdefault(phase, enabled) == enabled, f"enable_trace of {phase} changed")

    # Prefill

    def prefill(self, tokens: Any, table: Any, ends: Any, starts: Any, slots: Any) -> None:
        counts["prefills"] += 1
        rows = len(ends)
        require(isinstance(tokens, np.ndarray) and tokens.dtype == np.int32, "tokens are int32")
        require(tokens.shape == (rows, max(int(end) for end in ends)), f"tokens of shape {tokens.shape} for {list(ends)}")
        self.page_table(table, rows)
        require(len(set(slots)) == rows and all(0 <= slot < self.rows for slot in slots), f"prefill slots {slots}")
        taken: set[int] = set()
        for row, slot in enumerate(slots):
            start, end = int(starts[row]), int(ends[row])
            require(0 <= start < end <= self.max_seq_len, f"a prefill from {start} to {end}")
            require(start == 0, "a row begins with cached tokens, which this model cannot share")
            used = table[row, : -(-end // self.block_size)].tolist()
            require(len(set(used)) == len(used) and taken.isdisjoint(used), f"blocks {used} are written twice in a prefill")
            taken.update(used)
            counts["prefilled rows"] += 1
            self.slots[slot] = Slot(end, used)
        self.prefilled_since = True

    # Decode

    def decode(self, tokens: Any, positions: Any, table: Any, remap: Any, on_device: bool) -> bool:
        """Checks the inputs; true where the step is a transition, which must reload everything."""
        counts["decodes"] += 1
        require(isinstance(tokens, np.ndarray) and tokens.dtype == np.int32, "tokens are int32")
        require(tokens.shape == (self.rows, 1), f"decode tokens of shape {tokens.shape}")
        require(isinstance(positions, np.ndarray) and positions.dtype == np.int32, "start_pos is int32")
        require(positions.shape == (self.rows,), f"start_pos of shape {positions.shape}")
        self.page_table(table, self.rows)
        moved = self._remap(remap)
        active = tuple((positions >= 0).tolist())
        require(any(active), "a decode step without rows")
        writers: dict[int, int] = {}
        self.grew = False
        for row in range(self.rows):
            if active[row]:
                self._row(row, int(positions[row]), table[row], writers)
            else:
                padding = positions[row] == -1 and tokens[row, 0] == 0 and not table[row].any()
                require(padding, f"padding row {row} has token {tokens[row, 0]} at {positions[row]}, table {table[row]}")
                self.slots[row] = None
        transition = (
            self.last is None
            or self.prefilled_since
            or moved
            or active != self.last.active
            or (on_device and not self.last.on_device)
        )
        counts["transitions" if transition else "steady steps"] += 1
        counts["steps sampled on the device" if on_device else "steps sampled on the host"] += 1
        return transition

    def table_changed(self, table: np.ndarray) -> bool:
        # A row that got block 0 looks as before, as the padding is 0 too.
        return self.last is None or self.grew or bool((self.last.table != table).any())

    def ran(self, positions: np.ndarray, table: np.ndarray, on_device: bool) -> None:
        """The step ran: what it was given is on the device."""
        self.last = Step(tuple((positions >= 0).tolist()), table.copy(), on_device)
        self.prefilled_since = False

    def _remap(self, remap: Any) -> bool:
        if remap is None:
            return False
        require(isinstance(remap, np.ndarray) and remap.dtype == np.int32, "slot_remap is int32")
        require(sorted(remap.tolist()) == list(range(self.rows)), f"slot_remap {remap.tolist()} is no permutation")
        moved = remap.tolist() != list(range(self.rows))
        counts["remaps"] += moved
        self.slots = [self.slots[source] for source in remap.tolist()]
        return moved

    def _row(self, row: int, position: int, table: np.ndarray, writers: dict[int, int]) -> None:
        slot = self.slots[row]
        require(slot is not None, f"row {row} decodes and was not prefilled")
        assert slot is not None
        require(position == slot.next_position, f"row {row} decodes position {position} after {slot.next_position - 1}")
        require(position < self.max_seq_len, f"row {row} decodes position {position} of {self.max_seq_len}")
        used = table[: position // self.block_size + 1].tolist()
        require(used[: len(slot.blocks)] == slot.blocks, f"row {row}'s blocks changed from {slot.blocks} to {used}")
        for block in used:
            require(writers.setdefault(block, row) == row, f"rows {row} and {writers[block]} share block {block}")
        counts["appended blocks"] += len(used) - len(slot.blocks)
        self.grew = self.grew or len(used) > len(slot.blocks)
        slot.blocks, slot.next_position = used, position + 1
