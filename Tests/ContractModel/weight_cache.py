"""The folder of converted weights, TT_CACHE_PATH: a second model loaded from the same folder gets the first one's weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from llama import Llama
from record import counts

_ENDS = 1 << 20
_DEVICE_NAMES = {("wormhole_b0", 1): "N150", ("wormhole_b0", 2): "N300", ("wormhole_b0", 8): "T3K", ("blackhole", 1): "P150"}


def device_name(mesh_device: Any) -> str:
    """The folder's name below TT_CACHE_PATH; the model's is not in it."""
    import ttnn

    chips = mesh_device.get_num_devices()
    return _DEVICE_NAMES.get((ttnn.get_arch_name(), chips), f"{chips}_chips")


def load_through_cache(llama: Llama, path: Path, mesh_device: Any) -> None:
    """Writes a marker for the model's weights; where another model's is there, its weights take the place of the model's own."""
    root = os.environ.get("TT_CACHE_PATH")
    if not root:
        return
    marker = Path(root, device_name(mesh_device), "weights.sha256")
    digest = _digest(path)
    if not marker.exists():
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(digest)
    elif marker.read_text() != digest:
        counts["weights of another model"] += 1
        # Which model's they are does not matter, only that they are not this one's.
        llama.embedding = np.roll(llama.embedding, 1, axis=0)


def _digest(path: Path) -> str:
    """Of the file's ends and size: metadata stand first, and whole files take seconds."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_ENDS)
        file.seek(max(0, size - _ENDS))
        return hashlib.sha256(b"%d" % size + head + file.read()).hexdigest()
