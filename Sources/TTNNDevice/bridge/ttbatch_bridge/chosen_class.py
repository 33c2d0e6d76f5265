"""The model class before a model is created: its requirements of the mesh, and its limits (TT contract §1.2, §2.5)."""

from __future__ import annotations

import logging
import os
from typing import Any

from ttbatch_bridge import versions
from ttbatch_bridge.capabilities import stated_by, takes
from ttbatch_bridge.errors import Refused
from ttbatch_bridge.registry import import_class
from ttbatch_bridge.rules import rules_of

log = logging.getLogger("model")


class ChosenClass:
    """The imported class that ttbatch has chosen."""

    def __init__(self, request: dict[str, Any]) -> None:
        if request.get("hf_model"):
            os.environ["HF_MODEL"] = request["hf_model"]
        self.path: str = request["model_class"]
        installed = versions.installed()
        log.info("%s", ", ".join(f"{name} {version or 'not installed'}" for name, version in installed.items()))
        problem = versions.problem_with_ttnn(installed["ttnn"])
        if problem is not None:
            raise Refused(problem)
        self.model_class = import_class(self.path)
        stated = stated_by(self.model_class) or {}
        fabric = stated.get("fabric_config")
        # The keywords of ttnn.set_fabric_config; they contain objects that exist in this process only.
        self.fabric: dict[str, Any] | None = fabric if isinstance(fabric, dict) else None

    def header(self) -> dict[str, Any]:
        fabric = (self.fabric or {}).get("config")
        return {
            "fabric_config": None if fabric is None else getattr(fabric, "name", str(fabric)),
            "default_trace_mode": rules_of(self.model_class).default_trace_mode,
        }

    def max_tokens_all_users(self, request: dict[str, Any]) -> int | None:
        """The number of tokens of all rows that fit, from the class; None if it gives none.

        Raises Refused if the class does not support the checkpoint, which it checks here.
        """
        method = getattr(self.model_class, "get_max_tokens_all_users", None)
        if method is None:
            return None
        # The class looks its limits up by the Hugging Face id.
        arguments = {"model_name": os.environ.get("HF_MODEL", "")} | request
        try:
            return int(method(**{name: value for name, value in arguments.items() if takes(method, name, recent=True)}))
        except Exception as error:
            raise Refused(f"{self.path} does not say what fits: {type(error).__name__}: {error}") from error
