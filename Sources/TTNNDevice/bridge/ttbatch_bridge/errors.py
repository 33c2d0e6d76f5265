"""What can go wrong, as ttbatch tells it apart, and what an error's text says to a person."""

from __future__ import annotations

import traceback


class Refused(Exception):
    """It would fail again in the same way: a setting, a missing class, too little memory. The message is for a person."""


class ProtocolError(Exception):
    """A frame that is not what the protocol says; nothing after it can be trusted."""


def first_line(error: BaseException) -> str:
    """The part of an error's text that says what happened; tt-metal adds pages of backtrace to it."""
    lines = [line.strip() for line in str(error).split("backtrace:")[0].splitlines()]
    return " ".join(line for line in lines if line) or _place_of(error)


def _place_of(error: BaseException) -> str:
    """Where an error was raised that says nothing, as a bare assertion's does not."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else "without a message"
