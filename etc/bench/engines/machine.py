"""The CPU time that other processes used during a measurement: on a busy machine its figures are unreliable."""

import os
import resource
import time
from pathlib import Path

IDLE_COLUMNS = (3, 4)
"""Fields of the `cpu` line of /proc/stat: idle, and waiting for storage. Guest time, after these, is part of user time."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Onlookers:
    """CPU time of all processes except this one and those that it started and waited for."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.before = _busy_seconds() - _own_seconds()

    def share(self) -> float:
        """Their share of the time of all cores since the beginning, 0 to 1. The measured processes must have ended."""
        seconds = (_busy_seconds() - _own_seconds()) - self.before
        return max(0.0, seconds / ((time.monotonic() - self.start) * os.cpu_count()))


def _busy_seconds() -> float:
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(tick for column, tick in enumerate(ticks) if column not in IDLE_COLUMNS) / TICKS_PER_SECOND


def _own_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
