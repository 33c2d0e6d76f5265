"""The programs and files of the comparison, kept in the user's cache directory between runs."""

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ttbatch"


def environment(
    name: str, packages: list[str], settings: dict[str, str] | None = None, without: Sequence[str] = ()
) -> Path:
    """The bin directory of a virtual environment with these pinned packages, created at the first call.

    `settings` are environment variables for pip; the packages `without` are uninstalled. The mark is written last,
    so that an incomplete environment is created again.
    """
    directory = cache_directory() / "bench" / name
    mark = directory / "packages"
    wanted = "\n".join(packages)
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {', '.join(packages)} into {directory}", file=sys.stderr)
        venv.create(directory, clear=True, with_pip=True)
        _pip(directory, ["install", *packages], settings or {})
        if without:
            _pip(directory, ["uninstall", "--yes", *without], {})
        mark.write_text(wanted)
    return directory / "bin"


def _pip(directory: Path, arguments: Sequence[str], settings: dict[str, str]) -> None:
    command = [directory / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ | settings)


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, made by `make(part)` if it is missing. It gets its name only when it is complete."""
    if not path.exists():
        print(f"making {path}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        make(part)
        part.rename(path)
    return path
