"""Reports what this interpreter has, without using a device; `ttbatch devices` runs it in a separate process."""

from __future__ import annotations

import importlib.util
import json
import platform
import socket
import sys
from typing import Any

from ttbatch_bridge import versions
from ttbatch_bridge.errors import Refused
from ttbatch_bridge.mesh import import_ttnn
from ttbatch_bridge.registry import available_classes, import_class
from ttbatch_bridge.rules import rules_of


def probe(connection: socket.socket, request: dict[str, Any]) -> None:
    """Sends one JSON object: versions, the classes that can be imported, those that cannot, and any problem."""
    found: dict[str, Any] = {
        "python": platform.python_version(), "versions": {}, "problem": None, "classes": {}, "rules": {}, "unusable": {},
    }  # fmt: skip
    try:
        if sys.version_info < (3, 10):
            raise Refused("Python 3.10 or newer is needed: set bridge.python to the tt-metal environment's interpreter")
        if importlib.util.find_spec("numpy") is None:
            raise Refused("numpy is not installed: set bridge.python to the tt-metal environment's interpreter")
        import_ttnn()
        found["versions"] = versions.installed()
        problem = versions.problem_with_ttnn(found["versions"]["ttnn"])
        if problem is not None:
            raise Refused(problem)
        _try_classes(request, found)
    except Refused as error:
        found["problem"] = str(error)
    connection.sendall(json.dumps(found).encode())


def _try_classes(request: dict[str, Any], found: dict[str, Any]) -> None:
    """Imports every class, because only an import shows that it is usable."""
    named = request.get("model_class")
    classes = {named: named} if named else available_classes(request.get("extra_models_dir"))
    for architecture, path in sorted(classes.items()):
        try:
            model_class = import_class(path)
            rules = rules_of(model_class)
            found["classes"][architecture] = path
            found["rules"][architecture] = (
                f"{rules.age}: {rules.notes}"
                if hasattr(model_class, "prefill_forward")
                else "a dispatcher: what holds is known when it has chosen a class"
            )
        except Refused as error:
            found["unusable"][architecture] = str(error)
