"""The random state of a device's sampler: which draws can be relied on, and what has to be done for them."""

from __future__ import annotations

import enum
from typing import Any

from ttbatch_bridge.rules import model_parts


class Draws(str, enum.Enum):
    """Which random draws a device makes by itself."""

    NONE = "none"
    UNSEEDED = "unseeded"
    # A draw follows from the request's seed and the token's position, whatever else is in the batch.
    BY_POSITION = "by_position"


def draws_of(model: Any) -> Draws:
    """What the model's sampler can do; rows that it cannot do are sampled on the host."""
    managers = _seed_managers(model)
    if not managers:
        return Draws.UNSEEDED
    if all(map(_counts_positions, managers)):
        for manager in managers:
            # Else equal seeds in one batch are told apart by the slots that they lie in.
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
    """Seeds the slots of prefilled rows where the model does not: to 2026-08 only a prefill that samples does so, and
    without it each slot draws the same number at every step."""

    def __init__(self, model: Any) -> None:
        self._managers = [manager for manager in _seed_managers(model) if not _counts_positions(manager)]

    def prefilled(self, slots: list[int]) -> None:
        """Rows joined at `slots` by a prefill that did not sample."""
        for manager in self._managers:
            # None: from the system's entropy. Seeded rows are sampled on the host.
            manager.reset_seed([None] * len(slots), slots)
