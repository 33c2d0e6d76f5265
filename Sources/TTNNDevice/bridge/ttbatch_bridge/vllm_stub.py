"""Stubs for the names that TT model modules import from vllm, for installations without vllm.

tt-metal's modules import base classes and a registry of image processors from vllm. ttbatch runs none of that code, so
an empty class for each name is enough to import the modules.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import logging
import sys
from types import ModuleType
from typing import Any, Callable, Sequence

log = logging.getLogger("vllm")


class _StandIn:
    """Replaces a class, or the registry, whose methods decorate classes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    @staticmethod
    def register_processor(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        return lambda decorated: decorated


class _StandInModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (_StandIn,), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "vllm":
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "vllm":
            log.info("vllm is not installed: the model's module gets stand-ins for what it imports from it")


def install_if_missing() -> None:
    """Installs the stubs, unless vllm or the stubs are installed."""
    if "vllm" in sys.modules or importlib.util.find_spec("vllm") is not None:
        return
    # Added last, so that it never hides an existing module.
    sys.meta_path.append(_Finder())
