"""How often each operation of the real ttnn accepted its arguments."""

from __future__ import annotations

import atexit
import json
import os
from collections import Counter

validated: Counter[str] = Counter()
# Operations that ttnn accepted and that have no numbers here.
without_values: Counter[str] = Counter()
replayed: Counter[str] = Counter()


@atexit.register
def _append() -> None:
    """One line of JSON for this process, where the test looks for it."""
    path = os.environ.get("OPERATIONS_COUNTS")
    if path and validated:
        line = json.dumps({"validated": validated, "without_values": without_values, "replayed": replayed}) + "\n"
        # In one call: several bridges may write to the same file.
        with open(path, "a", buffering=len(line) + 1) as file:
            file.write(line)
