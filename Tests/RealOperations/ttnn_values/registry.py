"""Which function computes the values of which operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Output:
    """What ttnn says of an output."""

    shape: tuple[int, ...]
    is_float: bool
    # It is the first argument's memory, as of a reshape that moves nothing.
    is_view: bool


# A function gets the outputs, then the operation's own arguments with arrays for tensors. It returns an array for each output;
# for an output that is an argument written in place, the argument's own array.
RESULTS: dict[str, Callable[..., Any]] = {}
# Operations that compute nothing: their output may be their input in another shape.
MOVES: set[str] = set()


def result(*names: str, moves: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function under names as below `ttnn.`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        RESULTS.update(dict.fromkeys(names, function))
        if moves:
            MOVES.update(names)
        return function

    return register
