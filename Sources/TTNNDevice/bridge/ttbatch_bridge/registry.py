"""The class for an architecture (TT contract §1.1, §5): of tt-metal, tt-transformers or a bundle, or by name."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from ttbatch_bridge import vllm_stub
from ttbatch_bridge.errors import Refused, first_line

log = logging.getLogger("models")

_TRANSFORMERS = "models.tt_transformers.tt.generator_vllm"
_GALAXY = "models.demos.llama3_70b_galaxy.tt.generator_vllm"
_PACKAGE = "tt_transformers.vllm_registry"
_LLAMA = {
    "tt_transformers": f"{_TRANSFORMERS}:LlamaForCausalLM",
    "llama3_70b_galaxy": f"{_GALAXY}:LlamaForCausalLM",
    "llama2_70b": "models.demos.t3000.llama2_70b.tt.generator_vllm:TtLlamaForCausalLM",
}
_QWEN3 = {
    "tt_transformers": f"{_TRANSFORMERS}:QwenForCausalLM",
    "qwen3_32b_galaxy": f"{_GALAXY}:QwenForCausalLM",
}
# The classes of the standalone package, if it is installed; otherwise those of tt-metal's tree.
_OF_PACKAGE = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "MistralForCausalLM", "Phi3ForCausalLM")


def known_classes(extra_models_dir: str | None) -> dict[str, str]:
    """`module:Class` by architecture. TT_MODEL_CLASS_OVERRIDES comes before bundles, bundles before built-in ones."""
    wants_none = os.environ.get("TT_VLLM_BUILTIN_MODELS", "").strip().lower() in ("0", "false", "no", "off")
    classes = {} if wants_none else _built_in()
    directory = extra_models_dir or os.environ.get("EXTRA_MODELS_DIR")
    if directory:
        classes.update(_bundles(Path(directory)))
    return classes | _overrides()


def available_classes(extra_models_dir: str | None) -> dict[str, str]:
    """The part of `known_classes` whose modules exist."""
    return {name: path for name, path in known_classes(extra_models_dir).items() if _module_is_there(path)}


def import_class(path: str) -> Any:
    """The class at `module:Class`.

    Raises Refused if there is none, or if it is not a TT model.
    """
    module_name, _, class_name = path.partition(":")
    vllm_stub.install_if_missing()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise Refused(
            f"the module {module_name} of the model class cannot be imported ({type(error).__name__}: {first_line(error)}); "
            f"{_remedy(error, module_name)}"
        ) from error
    model_class = getattr(module, class_name, None)
    if model_class is None:
        raise Refused(f"{module_name} has no class {class_name}; set bridge.model_class to module:Class")
    if not hasattr(model_class, "initialize_vllm_model"):
        raise Refused(f"{path} has no initialize_vllm_model: it is not a TT model class; set bridge.model_class")
    return model_class


def _remedy(error: Exception, module_name: str) -> str:
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if missing and not module_name.startswith(missing):
        return f"install {missing.partition('.')[0]} in the environment of bridge.python"
    return "see that PYTHONPATH leads to tt-metal or install tt-transformers, or set bridge.model_class"


def _built_in() -> dict[str, str]:
    classes = {
        "TTLlamaForCausalLM": _by_version("TT_LLAMA_TEXT_VER", _LLAMA),
        "TTQwen2ForCausalLM": f"{_TRANSFORMERS}:QwenForCausalLM",
        "TTQwen3ForCausalLM": _by_version("TT_QWEN3_TEXT_VER", _QWEN3),
        "TTQwen3_5ForConditionalGeneration": "models.demos.blackhole.qwen36.tt.qwen36_vllm:Qwen36ForCausalLM",
        "TTMistralForCausalLM": f"{_TRANSFORMERS}:MistralForCausalLM",
        "TTMistral3ForConditionalGeneration": f"{_TRANSFORMERS}:Mistral3ForConditionalGeneration",
        "TTGemma3ForConditionalGeneration": f"{_TRANSFORMERS}:Gemma3ForConditionalGeneration",
        "TTGemma4ForCausalLM": "models.demos.gemma4.tt.generator_vllm:Gemma4ForCausalLM",
        "TTGemma4ForConditionalGeneration": "models.demos.gemma4.tt.generator_vllm:Gemma4ForCausalLM",
        "TTDeepseekV3ForCausalLM": "models.demos.deepseek_v3.tt.generator_vllm:DeepseekV3ForCausalLM",
        "TTGptOssForCausalLM": f"{_TRANSFORMERS}:GptOssForCausalLM",
    }
    if _module_is_there(_PACKAGE):
        # Only if no other version was named.
        chosen = {"TTLlamaForCausalLM": "TT_LLAMA_TEXT_VER", "TTQwen3ForCausalLM": "TT_QWEN3_TEXT_VER"}
        for name in _OF_PACKAGE:
            if chosen.get("TT" + name) not in os.environ:
                classes["TT" + name] = f"{_PACKAGE}:{name}"
    return classes


def _overrides() -> dict[str, str]:
    """`Arch=module:Class,Arch=module:Class`, as in Tenstorrent's vllm plugin."""
    classes = {}
    for entry in os.environ.get("TT_MODEL_CLASS_OVERRIDES", "").split(","):
        if not entry.strip():
            continue
        architecture, _, path = (part.strip() for part in entry.partition("="))
        if not architecture or path.count(":") != 1:
            raise Refused(f"TT_MODEL_CLASS_OVERRIDES: {entry.strip()!r} is not of the form Architecture=module:Class")
        classes[architecture if architecture.startswith("TT") else "TT" + architecture] = path
    return classes


def _by_version(variable: str, classes: dict[str, str]) -> str:
    version = os.environ.get(variable, "tt_transformers")
    if version not in classes:
        raise Refused(f"{variable}={version} is not known; use one of: {', '.join(classes)}")
    return classes[version]


def _bundles(directory: Path) -> dict[str, str]:
    """Each folder with a `vllm_metadata.json` (`arch`, `main_class`) is a bundle; the folder is added to the path."""
    if not directory.is_dir():
        raise Refused(f"bridge.extra_models_dir: {directory} is not a directory")
    classes = {}
    for file in sorted(directory.glob("*/vllm_metadata.json")):
        try:
            metadata = json.loads(file.read_text())
            architecture, main_class = metadata["arch"], metadata["main_class"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"{file} is not a bundle: {type(error).__name__}: {error}; correct it or remove its folder") from error
        if str(file.parent) not in sys.path:
            sys.path.append(str(file.parent))
        classes[architecture if architecture.startswith("TT") else "TT" + architecture] = main_class
    return classes


def _module_is_there(path: str) -> bool:
    try:
        return importlib.util.find_spec(path.partition(":")[0]) is not None
    except Exception as error:
        log.debug("%s: %s", path, error)
        return False
