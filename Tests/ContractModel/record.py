"""The contract model's report to the test: violations of the contract, and the number of calls of each kind."""

from __future__ import annotations

import atexit
import json
import os
import traceback
from collections import Counter
from pathlib import Path
from typing import NoReturn

counts: Counter[str] = Counter()


class ContractViolation(AssertionError):
    """The caller broke the contract."""


def violation(what: str) -> NoReturn:
    """Writes the violation where the test looks for it, since a daemon that survives its device would hide it."""
    path = os.environ.get("CONTRACT_VIOLATIONS")
    if path:
        with open(path, "a") as file:
            file.write(what + "\n" + "".join(traceback.format_stack(limit=6)[:-1]))
    raise ContractViolation(what)


def require(condition: object, what: str) -> None:
    if not condition:
        violation(what)


@atexit.register
def _write_counts() -> None:
    path = os.environ.get("CONTRACT_COUNTS")
    if path:
        Path(f"{path}.{os.getpid()}").write_text(json.dumps(counts))
