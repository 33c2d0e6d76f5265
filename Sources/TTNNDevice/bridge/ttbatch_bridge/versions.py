"""The installed versions of the TT software, for `ttbatch devices`, the log and refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

# The versions that `rules.py` was written for and that tests use.
OLDEST_TTNN = (0, 77)


def of_package(name: str) -> str | None:
    """The installed version of a package; None if it is not installed or is a source tree without metadata."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed() -> dict[str, str | None]:
    """Versions of ttnn, tt-metal's tree, tt-transformers, vllm, torch and transformers; None for a missing one."""
    return {
        "ttnn": of_package("ttnn"),
        "tt-metal": _metal_tree(),
        "tt-transformers": of_package("tt-transformers"),
        "vllm": of_package("vllm"),
        "torch": of_package("torch"),
        "transformers": of_package("transformers"),
    }


def problem_with_ttnn(version: str | None) -> str | None:
    """Why this ttnn is refused; None if it is not, or if a source tree does not have a version."""
    parts = (version or "").split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    if (int(parts[0]), int(parts[1])) >= OLDEST_TTNN:
        return None
    oldest = ".".join(map(str, OLDEST_TTNN))
    return f"ttnn {version} is older than {oldest}, which the TT model classes of 2026 need: install a newer tt-metal"


def _metal_tree() -> str | None:
    """The commit of the tt-metal tree whose `models` is on the path; `without git` if it has no history."""
    for entry in [os.environ.get("TT_METAL_HOME", ""), *sys.path]:
        tree = Path(entry or ".")
        if not (tree / "models" / "tt_transformers").is_dir():
            continue
        try:
            told = subprocess.run(
                ["git", "-C", str(tree), "log", "-1", "--format=%h of %cs"], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.SubprocessError):
            return "without git"
        return told.stdout.strip() or "without git"
    return None
