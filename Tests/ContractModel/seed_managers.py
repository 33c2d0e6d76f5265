"""Who gives the device its seeds: tt-metal's manager of April 2026, that of September, and the one of tt-transformers."""

from __future__ import annotations

import random
from typing import Any

from device_sampling import LANES, SKIP, DeviceSampler, seed_of_token

# A run is to be the same each time, so what is entropy in the real ones comes from here.
_entropy = random.Random(20260425)


class AprilSeedManager:
    """Seeds of each slot, and three states where no slot has one: seed all lanes, then let them go on, then do nothing.

    Until somebody calls `reset_seed` it does nothing at all, and the device seeds its lanes alike before every draw.
    """

    def __init__(self, device: DeviceSampler) -> None:
        self.device = device
        self.max_batch_size = LANES
        self.seeds: list[int | None] = [None] * LANES
        self.streams = [random.Random(_entropy.getrandbits(64)) for _ in range(LANES)]
        self.is_seeded = False
        self.was_reset = False
        self.goes_on_next = False

    def reset_seed(self, seeds: Any, user_ids: Any) -> None:
        """Seeds in the order of `user_ids`, the slots."""
        for index, slot in enumerate(user_ids):
            self._set(int(slot), None if seeds is None else seeds[index])
        self.is_seeded = any(seed is not None for seed in self.seeds)
        self.was_reset = True

    def get_new_values(self, empty_slots: Any = None, replicate_seeds: bool = False) -> None:
        """Sends the next seeds to the device; `replicate_seeds` gives all lanes the one slot's."""
        slots = list(range(LANES)) if empty_slots is None else [int(slot) for slot in empty_slots]
        if self.is_seeded:
            values = [self._next(slot) if slot in slots else SKIP for slot in range(LANES)]
            if replicate_seeds:
                values = [values[slots[0]]] * LANES
        elif self.was_reset:
            values = [_entropy.randint(1, 1_000_000) for _ in range(LANES)]
            self.goes_on_next = True
        elif self.goes_on_next:
            values = [SKIP] * LANES
            self.goes_on_next = False
        else:
            return
        self.device.seeds = values
        self.was_reset = False

    def apply_slot_remap(self, remap: Any) -> None:
        """Slot i takes what slot remap[i] had."""
        if not self.is_seeded:
            return
        moves = [(int(source), slot) for slot, source in enumerate(remap) if int(source) != slot]
        self._move(moves)
        self.is_seeded = any(seed is not None for seed in self.seeds)

    def _set(self, slot: int, seed: int | None) -> None:
        self.seeds[slot] = seed
        self.streams[slot].seed(_entropy.getrandbits(64) if seed is None else int(seed))

    def _next(self, slot: int) -> int:
        return self.streams[slot].randint(0, 1_000_000)

    def _move(self, moves: list[tuple[int, int]]) -> None:
        seeds, states = list(self.seeds), [stream.getstate() for stream in self.streams]
        for source, slot in moves:
            self.seeds[slot] = seeds[source]
            self.streams[slot].setstate(states[source])


class SeptemberSeedManager(AprilSeedManager):
    """A request's seeds come from its own seed and a counter, which decode steps tie to the token's position.

    Live slots of one and the same seed get different salts, unless `salt_duplicate_seeds` is taken back.
    """

    def __init__(self, device: DeviceSampler) -> None:
        super().__init__(device)
        self.salt_duplicate_seeds = True
        self.seed_counters = [0] * LANES
        self.seed_salts = [0] * LANES

    def reset_seed_from_slots(self, seeds: list[int | None], slots: list[int]) -> None:
        """Registers the slots' seeds; a slot that has its seed already keeps counter and salt."""
        for slot in slots:
            if seeds[slot] is None or seeds[slot] != self.seeds[slot]:
                self._set(slot, seeds[slot])
        self.is_seeded = any(seed is not None for seed in self.seeds)
        self.was_reset = True

    def reset_changed(self, seeds: list[int | None], slots: list[int]) -> list[int]:
        """Registers the seeds that are not known yet; gives their slots."""
        changed = [slot for slot in slots if seeds[slot] != self.seeds[slot]]
        if changed:
            self.reset_seed_from_slots(seeds, changed)
        return changed

    def align_seed_counters_to_positions(self, seeds: list[int | None], slots: list[int], positions: list[int]) -> None:
        for slot in slots:
            if seeds[slot] is not None and positions[slot] >= 0:
                self.seed_counters[slot] = positions[slot] + 1

    def deactivate_slots_except(self, live: list[int]) -> None:
        """A finished request's seed must not give a later one another salt."""
        if self.is_seeded:
            self._clear(slot for slot in range(LANES) if slot not in live)

    def _clear(self, slots: Any) -> None:
        for slot in slots:
            self.seeds[slot], self.seed_counters[slot], self.seed_salts[slot] = None, 0, 0
        self.is_seeded = any(seed is not None for seed in self.seeds)
        if not self.is_seeded:
            self.was_reset = True

    def _set(self, slot: int, seed: int | None) -> None:
        super()._set(slot, seed)
        self.seed_counters[slot] = 0
        taken = {self.seed_salts[other] for other in range(LANES) if other != slot and self.seeds[other] == seed}
        is_salted = self.salt_duplicate_seeds and seed is not None
        self.seed_salts[slot] = 0 if not is_salted else next(salt for salt in range(LANES) if salt not in taken)

    def _next(self, slot: int) -> int:
        seed = self.seeds[slot]
        if seed is None:
            return self.streams[slot].randint(1, 1_000_000)
        self.seed_counters[slot] += 1
        return seed_of_token(seed, self.seed_counters[slot] - 1, self.seed_salts[slot])

    def _move(self, moves: list[tuple[int, int]]) -> None:
        counters, salts = list(self.seed_counters), list(self.seed_salts)
        super()._move(moves)
        for source, slot in moves:
            self.seed_counters[slot], self.seed_salts[slot] = counters[source], salts[source]
        self._clear({source for source, _ in moves} - {slot for _, slot in moves})


class RequestSeeds:
    """tt-transformers': a slot's request is registered by its prefill or by a reset; after that its seed may not change."""

    def __init__(self, device: DeviceSampler) -> None:
        self.device = device
        self.requests: dict[int, tuple[int | None, int]] = {}

    def admit(self, slot: int, seed: int | None) -> None:
        taken = {salt for other, (known, salt) in self.requests.items() if other != slot and known == seed}
        self.requests[slot] = seed, 0 if seed is None else next(salt for salt in range(LANES) if salt not in taken)

    def synchronize(self, seeds: dict[int, int | None], reset: bool) -> None:
        """`seeds` of the active slots; other slots' requests have ended."""
        changed = [slot for slot in seeds if slot not in self.requests or self.requests[slot][0] != seeds[slot]]
        if changed and not reset:
            raise RuntimeError(f"new or changed seeds in the slots {changed} need a reset of the sampling state")
        self.requests = {slot: request for slot, request in self.requests.items() if slot in seeds and slot not in changed}
        for slot in changed:
            self.admit(slot, seeds[slot])

    def refresh(self, positions: dict[int, int], everywhere: bool = False) -> None:
        """Sends the seeds of the tokens behind the positions; `everywhere` gives all lanes the one slot's."""
        values = list(range(LANES))
        for slot, position in positions.items():
            seed, salt = self.requests[slot]
            values[slot] = _entropy.randint(1, 1_000_000) if seed is None else seed_of_token(seed, position + 1, salt)
        self.device.seeds = [values[next(iter(positions))]] * LANES if everywhere else values

    def apply_slot_remap(self, remap: list[int]) -> None:
        self.requests = {slot: self.requests[source] for slot, source in enumerate(remap) if source in self.requests}
