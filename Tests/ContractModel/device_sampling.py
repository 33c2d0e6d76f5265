"""Sampling as the device does it: 32 lanes, each with a random number generator, and parameters in the lanes' form."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

LANES = 32
MAX_TOP_K = 32
# In place of a seed: the lane's generator goes on from where it is.
SKIP = 2**32 - 1
_MASK = (1 << 64) - 1


@dataclass
class LaneParameters:
    """Sampling parameters of the lanes, as the device takes them."""

    inverse_temperature: list[float]
    top_k: list[int]
    top_p: list[float]
    seed: list[int | None]

    def of_row(self, row: int) -> LaneParameters:
        """One row's parameters in all lanes."""
        return LaneParameters(
            [self.inverse_temperature[row]] * LANES, [self.top_k[row]] * LANES, [self.top_p[row]] * LANES, [self.seed[row]] * LANES
        )

    def in_slots(self, slots: list[int]) -> LaneParameters:
        """The rows' parameters in the lanes of their slots; seeds stay in the order of the rows."""
        moved = [[values[len(slots) - 1]] * LANES for values in (self.inverse_temperature, self.top_k, self.top_p)]
        for row, slot in enumerate(slots):
            for target, values in zip(moved, (self.inverse_temperature, self.top_k, self.top_p)):
                target[slot] = values[row]
        return LaneParameters(moved[0], moved[1], moved[2], self.seed)


def lane_parameters(sampling: Any) -> LaneParameters:
    """The caller's lists: greedy becomes a top_k of 1, and a top_k that the device cannot have becomes 32, silently."""
    temperature, top_k, top_p = list(sampling.temperature), list(sampling.top_k), list(sampling.top_p)
    seed = list(sampling.seed) if isinstance(sampling.seed, list) else [sampling.seed]
    for row, value in enumerate(temperature):
        temperature[row] = 1.0 if value == 0 else 1 / value
        wanted = 1 if value == 0 else top_k[row]
        top_k[row] = wanted if 1 <= wanted <= MAX_TOP_K else MAX_TOP_K
        top_p[row] = min(max(top_p[row], 0.0), 1.0)
    for values, padding in ((temperature, 1.0), (top_k, 1), (top_p, 1.0), (seed, None)):
        values.extend([padding] * (LANES - len(values)))
    return LaneParameters(temperature, top_k, top_p, seed)


class DeviceSampler:
    """The device's part: the tensor of seeds and the lanes' generators, which only a seed other than SKIP sets anew."""

    def __init__(self) -> None:
        self.seeds = list(range(LANES))
        self._states = [(seed, 0) for seed in self.seeds]
        # The latest draws' numbers, for checks.
        self.drawn: deque[list[float]] = deque(maxlen=64)

    def sample(self, logits: np.ndarray, lanes: list[int], parameters: LaneParameters) -> np.ndarray:
        """A token for each row of logits, drawn in the row's lane. All lanes draw, those without a row too."""
        drawn = self._draw()
        tokens = np.zeros(len(logits), np.int64)
        for row, lane in enumerate(lanes):
            k, p, scale = parameters.top_k[lane], parameters.top_p[lane], parameters.inverse_temperature[lane]
            tokens[row] = _chosen(logits[row], k, p, scale, drawn[lane])
        return tokens

    def _draw(self) -> list[float]:
        numbers = []
        for lane, seed in enumerate(self.seeds):
            origin, count = self._states[lane] if seed == SKIP else (seed, 0)
            self._states[lane] = origin, count + 1
            numbers.append(_mixed(origin * 0x9E3779B97F4A7C15 + count) / 2**64)
        self.drawn.append(numbers)
        return numbers


def seed_of_token(seed: int, counter: int, salt: int) -> int:
    """A device seed for one token of a seeded request: never SKIP, and the same in every slot."""
    value = (int(seed) & _MASK) ^ ((counter + 0x9E3779B97F4A7C15) & _MASK) ^ (salt * 0xD1B54A32D192ED03 & _MASK)
    return _mixed(value) % 1_000_000 + 1


def _mixed(value: int) -> int:
    """SplitMix64's finalizer."""
    value &= _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def _chosen(logits: np.ndarray, top_k: int, top_p: float, inverse_temperature: float, number: float) -> int:
    if top_k == 1:
        return int(logits.argmax())
    best = np.argsort(-logits, kind="stable")[:top_k]
    weights = np.exp((logits[best] - logits[best[0]]).astype(np.float64) * inverse_temperature)
    weights /= weights.sum()
    weights[1:][np.cumsum(weights)[:-1] >= top_p] = 0
    sums = np.cumsum(weights)
    return int(best[min(int(np.searchsorted(sums, number * sums[-1], side="right")), np.count_nonzero(weights) - 1)])
