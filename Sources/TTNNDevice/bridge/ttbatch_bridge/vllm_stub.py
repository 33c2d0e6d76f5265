"""Stand-ins for what TT model modules import of vllm, where it is not installed.

tt-metal's classes take base classes and a registry of image processors from vllm at the top of their modules. Nothing of
that runs when ttbatch drives them, so an empty class under each name is enough to import them.
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
    """Takes the place of a class or of the registry, whose methods decorate classes."""

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
    """Puts the stand-ins in place, unless vllm is there or they are."""
    if "vllm" in sys.modules or importlib.util.find_spec("vllm") is not None:
        return
    # Last, so that nothing that exists is ever hidden.
    sys.meta_path.append(_Finder())
