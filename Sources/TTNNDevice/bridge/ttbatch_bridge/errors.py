"""The kinds of errors that ttbatch distinguishes, and short texts for messages."""

from __future__ import annotations

import traceback


class Refused(Exception):
    """A retry would fail in the same way: a setting, a missing class, too little memory. The message is for users."""


class ProtocolError(Exception):
    """A frame that violates the protocol; nothing after it can be trusted."""


def first_line(error: BaseException) -> str:
    """The first part of an error's text, which says what happened; tt-metal adds pages of backtrace."""
    lines = [line.strip() for line in str(error).split("backtrace:")[0].splitlines()]
    return " ".join(line for line in lines if line) or _place_of(error)


def _place_of(error: BaseException) -> str:
    """Where an error without a text was raised, for example a bare assertion."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else "without a message"
