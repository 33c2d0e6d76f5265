"""A ttnn without devices, for the contract model: the calls that ttbatch's bridge makes, strict about their order.

The chips are those of TT_METAL_MOCK_CLUSTER_DESC_PATH, as for the real ttnn. Tensors are numpy arrays.
"""

from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from record import violation


class FabricConfig(enum.Enum):
    DISABLED = 0
    FABRIC_1D = 1
    FABRIC_1D_RING = 2
    FABRIC_2D = 3
    FABRIC_2D_TORUS_XY = 4


class FabricReliabilityMode(enum.Enum):
    STRICT_INIT = 0
    RELAXED_INIT = 1


class DispatchCoreAxis(enum.Enum):
    ROW = 0
    COL = 1


@dataclass(frozen=True)
class MeshShape:
    rows: int
    columns: int


@dataclass(frozen=True)
class DispatchCoreConfig:
    axis: DispatchCoreAxis | None = None


class MeshDevice:
    def __init__(self, shape: MeshShape) -> None:
        self.shape = shape
        self.is_open = True

    def get_num_devices(self) -> int:
        return self.shape.rows * self.shape.columns

    def get_submeshes(self) -> list:
        return []


class Event:
    def __init__(self) -> None:
        self.is_done = False


_open: list[MeshDevice] = []
_fabric = FabricConfig.DISABLED


def _description() -> str:
    return Path(os.environ["TT_METAL_MOCK_CLUSTER_DESC_PATH"]).read_text()


def get_arch_name() -> str:
    return "blackhole" if "blackhole" in _description() else "wormhole_b0"


def get_device_ids() -> list[int]:
    chips = sorted({int(chip) for chip in re.findall(r"(\d+): *(?:wormhole_b0|blackhole)", _description())})
    visible = os.environ.get("TT_VISIBLE_DEVICES")
    return list(range(len(visible.split(",")))) if visible else chips


def _cluster_type() -> SimpleNamespace:
    board = re.search(r"board_type: *(\w+)", _description())
    return SimpleNamespace(name=board.group(1).upper() if board else "INVALID")


cluster = SimpleNamespace(get_cluster_type=_cluster_type)


def set_fabric_config(config: FabricConfig, reliability_mode: FabricReliabilityMode = FabricReliabilityMode.STRICT_INIT) -> None:
    global _fabric
    if _open:
        violation("the fabric is set while a mesh is open")
    _fabric = config


def open_mesh_device(mesh_shape: MeshShape, dispatch_core_config: DispatchCoreConfig, **parameters: int) -> MeshDevice:
    unknown = set(parameters) - {"trace_region_size", "worker_l1_size", "l1_small_size", "num_command_queues"}
    if unknown:
        violation(f"open_mesh_device got {unknown}")
    if _open:
        violation("a mesh is opened twice")
    needed = mesh_shape.rows * mesh_shape.columns
    if needed > len(get_device_ids()):
        raise RuntimeError(f"Requested mesh shape requires {needed} devices, but only {len(get_device_ids())} are there")
    if needed == 1 and _fabric is not FabricConfig.DISABLED:
        violation("a fabric is set for one chip")
    if needed > 1 and _fabric is FabricConfig.DISABLED and "FABRIC_MAY_BE_OFF" not in os.environ:
        violation("no fabric is set for several chips")
    device = MeshDevice(mesh_shape)
    _open.append(device)
    return device


def ReadDeviceProfiler(device: MeshDevice) -> None:
    if not device.is_open:
        violation("the profiler of a closed mesh is read")


def close_mesh_device(device: MeshDevice) -> None:
    from model_base import living_models, uncleaned_models

    if not device.is_open:
        violation("a mesh is closed twice")
    if uncleaned_models():
        violation("the mesh is closed before its model's cleanup was called")
    if living_models():
        violation("the mesh is closed before its model is gone")
    device.is_open = False
    _open.remove(device)


def event_synchronize(event: Event) -> None:
    event.is_done = True
