"""The random state of a device's sampler: which draws are reliable, and the seeding that they need."""

from __future__ import annotations

import enum
from typing import Any

from ttbatch_bridge.rules import model_parts


class Draws(str, enum.Enum):
    """The random draws that a device can make."""

    NONE = "none"
    UNSEEDED = "unseeded"
    # A draw depends on the request's seed and the token's position alone, not on the other rows of the batch.
    BY_POSITION = "by_position"


def draws_of(model: Any) -> Draws:
    """The draws of the model's sampler; rows that it cannot sample are sampled on the host."""
    managers = _seed_managers(model)
    if not managers:
        return Draws.UNSEEDED
    if all(map(_counts_positions, managers)):
        for manager in managers:
            # Otherwise equal seeds in one batch give different draws, depending on their slots.
            manager.salt_duplicate_seeds = False
        return Draws.BY_POSITION
    return Draws.UNSEEDED if all(callable(getattr(m, "reset_seed", None)) for m in managers) else Draws.NONE


def _seed_managers(model: Any) -> list[Any]:
    """The seed managers of a tt-metal model's samplers, one for each replica in it."""
    managers = [getattr(getattr(part, "sampling", None), "seed_manager", None) for part in model_parts(model)]
    return [manager for manager in managers if manager is not None]


def _counts_positions(manager: Any) -> bool:
    return hasattr(manager, "align_seed_counters_to_positions")


class SlotSeeds:
    """Seeds the slots of prefilled rows if the model does not. Until 2026-08 only a prefill that samples seeds them,
    and an unseeded slot draws the same number in every step."""

    def __init__(self, model: Any) -> None:
        self._managers = [manager for manager in _seed_managers(model) if not _counts_positions(manager)]

    def prefilled(self, slots: list[int]) -> None:
        """Must be called when rows have joined at `slots` by a prefill that did not sample."""
        for manager in self._managers:
            # None takes the seed from the system's entropy. Rows with a seed are sampled on the host.
            manager.reset_seed([None] * len(slots), slots)
