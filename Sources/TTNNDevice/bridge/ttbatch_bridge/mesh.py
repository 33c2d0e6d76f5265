"""Describes, opens and closes the mesh, in the order of TT contract §2.6. Only this process uses the devices."""

from __future__ import annotations

import logging
from typing import Any

from ttbatch_bridge.errors import Refused, first_line

log = logging.getLogger("mesh")


def import_ttnn() -> Any:
    """The ttnn module.

    Raises Refused with Python's reason if it cannot be imported.
    """
    try:
        import ttnn
    except Exception as error:
        raise Refused(
            f"ttnn cannot be imported ({type(error).__name__}: {error}); set bridge.python to the interpreter of the "
            "tt-metal environment, and see that its PYTHONPATH is exported"
        ) from error
    return ttnn


class Mesh:
    """The mesh, which may be open."""

    def __init__(self) -> None:
        self.device: Any = None
        self._fabric_was_set = False

    def describe(self) -> dict[str, Any]:
        """Returns the usable chips and the type of their cluster, without opening anything."""
        ttnn = import_ttnn()
        ids = [int(i) for i in ttnn.get_device_ids()]
        cluster = ttnn.cluster.get_cluster_type() if hasattr(ttnn, "cluster") else None
        return {
            "device_ids": ids,
            "architecture": str(ttnn.get_arch_name()),
            "cluster_type": getattr(cluster, "name", str(cluster)),
        }

    def open(self, settings: dict[str, Any], class_fabric: dict[str, Any] | None) -> dict[str, Any]:
        """Opens the mesh: fabric first, then the devices. `class_fabric` are the class's fabric keywords."""
        if self.device is not None:
            raise Refused("the mesh is open already")
        ttnn = import_ttnn()
        shape = ttnn.MeshShape(settings["rows"], settings["columns"])
        parameters = {
            name: settings[name]
            for name in ("trace_region_size", "worker_l1_size", "l1_small_size", "num_command_queues")
            if settings.get(name) is not None
        }
        parameters["dispatch_core_config"] = self._dispatch(ttnn, settings.get("dispatch_core_axis"))
        self._set_fabric(ttnn, settings, class_fabric or {})
        try:
            self.device = ttnn.open_mesh_device(mesh_shape=shape, **parameters)
        except Exception as error:
            self._reset_fabric(ttnn)
            raise Refused(_opening_failed(error, settings)) from error
        return {"device_count": int(self.device.get_num_devices())}

    def close(self) -> None:
        """Closes the mesh, whose models must have been released. Does nothing if it is closed."""
        if self.device is None:
            return
        ttnn = import_ttnn()
        device, self.device = self.device, None
        try:
            ttnn.ReadDeviceProfiler(device)
        except Exception as error:
            log.debug("the profiler was not read: %s", error)
        for submesh in getattr(device, "get_submeshes", list)():
            ttnn.close_mesh_device(submesh)
        ttnn.close_mesh_device(device)
        self._reset_fabric(ttnn)

    def _dispatch(self, ttnn: Any, axis: str | None) -> Any:
        if axis is None:
            return ttnn.DispatchCoreConfig()
        return ttnn.DispatchCoreConfig(axis=getattr(ttnn.DispatchCoreAxis, axis.upper()))

    def _set_fabric(self, ttnn: Any, settings: dict[str, Any], class_fabric: dict[str, Any]) -> None:
        """Sets the fabric: ttbatch's settings replace the class's keywords. If neither names a fabric, none is set."""
        keywords = dict(class_fabric)
        if settings.get("fabric_config") is not None:
            keywords["config"] = getattr(ttnn.FabricConfig, settings["fabric_config"])
        if settings.get("fabric_reliability_mode") is not None:
            keywords["reliability_mode"] = getattr(ttnn.FabricReliabilityMode, settings["fabric_reliability_mode"])
        if "config" not in keywords:
            return
        ttnn.set_fabric_config(**keywords)
        self._fabric_was_set = True

    def _reset_fabric(self, ttnn: Any) -> None:
        if self._fabric_was_set:
            self._fabric_was_set = False
            ttnn.set_fabric_config(ttnn.FabricConfig.DISABLED)


def _opening_failed(error: Exception, settings: dict[str, Any]) -> str:
    what = f"a mesh of ({settings['rows']}, {settings['columns']}) cannot be opened"
    if settings.get("fabric_config"):
        what += f" with the fabric {settings['fabric_config']}"
    text = first_line(error)
    if "requires" in text and "devices are available in the system mesh" in text:
        remedy = "the chips are not connected to each other: choose some with bridge.visible_devices or TT_VISIBLE_DEVICES"
    elif settings.get("fabric_config"):
        remedy = "set tt.fabric_config: DISABLED if the model runs without a fabric, or repair the compiler or the links"
    else:
        remedy = "reset the cards (tt-smi -r) if a program died on them"
    return f"{what}: {text}; {remedy}"
