"""A contract model that fails as CONTRACT_FAULT says, once in the life of the file CONTRACT_FAULT_ONCE where that is given.

    killed:N          the process ends by SIGKILL in decode step N
    hang_prefill:N    prefill N never returns
    hang_decode:N     decode step N never returns
    wrong_shape:N     decode step N gives a row too few
    poison:TOKEN      every prefill of a prompt that contains TOKEN ends the process
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from generator_of_contract_1 import Generator
from record import counts

_KIND, _, _NUMBER = os.environ.get("CONTRACT_FAULT", "none:0").partition(":")


class FaultyLlama(Generator):
    """A generator of contract 1 until it fails."""

    shortens = False

    def prefill_forward(self, *args: Any, **arguments: Any) -> Any:
        output = super().prefill_forward(*args, **arguments)
        if _KIND == "poison" and int(_NUMBER) in arguments["tokens"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if _is_due("hang_prefill", counts["prefills"]):
            _hang()
        return output

    def decode_forward(self, *args: Any, **arguments: Any) -> Any:
        if self.is_warming:
            return super().decode_forward(*args, **arguments)
        step = counts["decodes"]
        if _is_due("killed", step):
            os.kill(os.getpid(), signal.SIGKILL)
        if _is_due("hang_decode", step):
            _hang()
        output = super().decode_forward(*args, **arguments)
        self.shortens = _is_due("wrong_shape", step)
        return output

    def process_decode_output_host(self, tt_out: Any, *, is_tokens: bool = False) -> Any:
        values, log_probs = super().process_decode_output_host(tt_out, is_tokens=is_tokens)
        return values[:-1] if self.shortens else values, log_probs


def _is_due(kind: str, number: int) -> bool:
    if kind != _KIND or number != int(_NUMBER):
        return False
    mark = os.environ.get("CONTRACT_FAULT_ONCE")
    if mark is None:
        return True
    try:
        # At once: two bridges may be at the same step.
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _hang() -> None:
    """As inside the device's library: Python's signal handlers do not get to run."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
