"""A folder of converted weights for each checkpoint.

The classes of tt-metal name the files in TT_CACHE_PATH by layer and shape only: a second checkpoint of the same shape
would silently get the first one's weights. So each checkpoint has its own folder, named by its content.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

# Samples of each file, one every few megabytes, so that different checkpoints differ in some of them.
_PARTS, _PART_BYTES = 64, 4096
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf")


def choose_folder(checkpoint: str | None, hf_config: Any) -> Path | None:
    """Sets TT_CACHE_PATH to the checkpoint's own folder below its previous value; None without a checkpoint's name."""
    if not checkpoint:
        return None
    base = Path(os.environ.get("TT_CACHE_PATH") or Path.home() / ".cache" / "ttbatch" / "tt-weights")
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in checkpoint.strip("/").split("/")[-1])
    folder = base / f"{name}-{digest(checkpoint, hf_config)[:16]}"
    os.environ["TT_CACHE_PATH"] = str(folder)
    return folder


def digest(checkpoint: str, hf_config: Any) -> str:
    """A hash of a folder's configuration and samples of its weights, or of the revision that transformers loaded."""
    hasher = hashlib.sha256(checkpoint.encode())
    folder = Path(checkpoint)
    if not folder.is_dir():
        hasher.update(str(getattr(hf_config, "_commit_hash", None)).encode())
        return hasher.hexdigest()
    for file in sorted(folder.iterdir()):
        if file.name == "config.json" or file.suffix in _WEIGHT_SUFFIXES:
            _add(file, hasher)
    return hasher.hexdigest()


def _add(file: Path, hasher: Any) -> None:
    size = file.stat().st_size
    hasher.update(f"{file.name}:{size}".encode())
    with file.open("rb") as stream:
        for part in range(_PARTS):
            stream.seek(size * part // _PARTS)
            hasher.update(stream.read(_PART_BYTES))
