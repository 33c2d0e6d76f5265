"""Says what this interpreter has, without touching a device: `ttbatch devices` runs it in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import platform
import socket
import sys
from importlib import metadata

from ttbatch_bridge.errors import Refused
from ttbatch_bridge.mesh import import_ttnn
from ttbatch_bridge.registry import available_classes


def probe(connection: socket.socket, extra_models_dir: str | None) -> None:
    """Sends one JSON object: versions, architectures with a class, and what is wrong."""
    found: dict[str, object] = {"python": platform.python_version(), "ttnn": None, "problem": None, "architectures": []}
    try:
        if sys.version_info < (3, 10):
            raise Refused("Python 3.10 or newer is needed: set bridge.python to the tt-metal environment's interpreter")
        if importlib.util.find_spec("numpy") is None:
            raise Refused("numpy is not installed: set bridge.python to the tt-metal environment's interpreter")
        import_ttnn()
        found["ttnn"] = _version("ttnn")
        found["architectures"] = sorted(available_classes(extra_models_dir))
    except Refused as error:
        found["problem"] = str(error)
    connection.sendall(json.dumps(found).encode())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"
