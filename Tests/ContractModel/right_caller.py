"""A small engine that calls a model as it must be called: block 0 stays empty, whole rows are sent, slots are bound, prefixes shared."""

from __future__ import annotations

from typing import Any

import numpy as np

from contract_driver import Driver, Row, Rules
from model_base import padded_length


class RightCaller:
    """Jobs through four slots and a pool that is too small for all, so that rows are preempted and begin again.

    `kind` is the class's letter, `alignment` what starts behind cached tokens are multiples of.
    """

    def __init__(self, rules: Rules, driver: Driver, *, kind: str, alignment: int, seed: int) -> None:
        self.rules, self.driver, self.kind, self.alignment = rules, driver, kind, alignment
        self.random = np.random.default_rng(seed)
        self.size = driver.model.pool.block_size
        # The null block belongs to no row.
        self.free = list(range(1, 1 + 512 // self.size))
        self.users: dict[int, int] = {}
        self.cached: dict[tuple[int, ...], int] = {}
        self.running: dict[int, Row] = {}
        self.preempted = self.shared = 0

    def run(self, jobs: list[list[int]]) -> list[Row]:
        """All jobs to their ends."""
        waiting = [(prompt, int(self.random.integers(1, 70))) for prompt in jobs]
        limits, done = {}, []
        while waiting or self.running:
            joined = []
            while waiting and len(self.running) + len(joined) < 4:
                row = self._row(waiting[0][0], joined)
                if row is None:
                    break
                limits[id(row)] = waiting.pop(0)[1]
                joined.append(row)
            self._prefill(joined)
            self.running |= {row.slot: row for row in joined}
            for slot, row in list(self.running.items()):
                if len(row.generated) >= limits[id(row)]:
                    done.append(self._leave(slot))
            self._grow(waiting, limits)
            if self.running:
                rows = [self.running[slot] for slot in sorted(self.running)]
                on_device = self.random.random() < 0.8
                self.driver.decode(rows, trace=True, params=self.driver.sampling(4) if on_device else None, claims=True)
        return done

    def _row(self, prompt: list[int], joined: list[Row]) -> Row | None:
        """A row with blocks for its prompt, of which the first may be other rows'."""
        blocks: list[int] = []
        while (known := self.cached.get(tuple(prompt[: (len(blocks) + 1) * self.size]))) is not None:
            if (len(blocks) + 1) * self.size >= len(prompt):
                break
            blocks.append(known)
        blocks = blocks[: len(blocks) * self.size // self.alignment * self.alignment // self.size]
        needed = -(-(len(prompt) + 1) // self.size) - len(blocks)
        if needed > len(self.free):
            return None
        taken = {row.slot for row in joined} | set(self.running)
        row = Row(next(slot for slot in range(4) if slot not in taken), prompt, blocks + [self.free.pop(0) for _ in range(needed)])
        row.start = len(blocks) * self.size
        self.shared += row.start > 0
        for block in row.blocks:
            self.users[block] = self.users.get(block, 0) + 1
        return row

    def _prefill(self, joined: list[Row]) -> None:
        """Rows of the same padded length are batched in powers of two; rows after cached tokens run alone."""
        alike: dict[int, list[Row]] = {}
        for row in joined:
            alike.setdefault(-row.slot - 1 if row.start or self.kind == "N" else padded_length(row.prompt), []).append(row)
        for rows in alike.values():
            while rows:
                count = 1 << (len(rows).bit_length() - 1)
                part, rows = rows[:count], rows[count:]
                slots = list(range(count)) if self.kind == "A" else None
                self.driver.prefill(part, starts=[row.start for row in part], slots=slots, trace=True)
        for row in joined:
            for count in range(1, row.prompt // self.size + 1):
                self.cached.setdefault(tuple(row.tokens[: count * self.size]), row.blocks[count - 1])

    def _grow(self, waiting: list[Any], limits: dict[int, int]) -> None:
        for slot in sorted(self.running):
            row = self.running.get(slot)
            if row is None or len(row.tokens) <= len(row.blocks) * self.size:
                continue
            while not self.free:
                last = max(self.running)
                loser = self._leave(last)
                waiting.insert(0, (loser.tokens[: loser.prompt], limits[id(loser)]))
                self.preempted += 1
            if slot in self.running:
                block = self.free.pop(0)
                row.blocks.append(block)
                self.users[block] = 1

    def _leave(self, slot: int) -> Row:
        row = self.running.pop(slot)
        for block in row.blocks:
            self.users[block] -= 1
            if not self.users[block]:
                self.free.append(block)
                # What lies in it is shared no more, as it may be written any time.
                self.cached = {tokens: known for tokens, known in self.cached.items() if known != block}
        return row


def jobs(rules: Rules, count: int) -> list[list[int]]:
    """Prompts of which many begin alike."""
    prefixes = [rules.prompt(length) for length in (0, 40, 130, 200)]
    return [[*prefixes[n % 4], *rules.prompt(3 + n * 7 % 60)] for n in range(count)]
