"""tt-transformers' entry for llamas: a class that knows models by their Hugging Face id, and gives instances of another class.

The class itself can say what holds for all of its models, and nothing else: it has no `prefill_forward`, no contract's number.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from generator_of_contract_1 import Generator

_SERVED = (
    "meta-llama/Llama-3.2-1B-Instruct",
    "meta-llama/Llama-3.2-3B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
)


class UnsupportedModelError(ValueError):
    """The checkpoint's name is none that is served."""


def hugging_face_id(name: Any) -> str | None:
    """`owner/name` as it is, or of a snapshot in Hugging Face's cache; no other folder says what it holds."""
    text = str(name or "")
    parts = PurePosixPath(text).parts
    if len(parts) >= 3 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        owner_and_name = parts[-3].removeprefix("models--").split("--")
        return "/".join(owner_and_name) if len(owner_and_name) == 2 and all(owner_and_name) else None
    is_id = text.count("/") == 1 and all(text.split("/")) and text[0] not in "/.~"
    return text if is_id else None


class LlamaForCausalLM:
    """The class that is registered for the architecture."""

    model_capabilities: dict[str, Any] = {
        "supports_prefix_caching": True,
        "supports_async_decode": True,
        "supports_sample_on_device": True,
        "accepts_trace_mode": True,
    }

    @classmethod
    def select(cls, name: Any) -> type[Generator]:
        if hugging_face_id(name) not in _SERVED:
            raise UnsupportedModelError(f"{name!r} is not served as LlamaForCausalLM; these are: {', '.join(_SERVED)}")
        return Generator

    @classmethod
    def get_max_tokens_all_users(
        cls, model_name: str = "", num_devices: int = 1, tt_data_parallel: int = 1, max_model_len: int = 0, max_num_seqs: int = 1
    ) -> int:
        return cls.select(model_name).get_max_tokens_all_users(
            model_name=model_name, num_devices=num_devices, tt_data_parallel=tt_data_parallel, max_model_len=max_model_len,
            max_num_seqs=max_num_seqs,
        )  # fmt: skip

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, n_layers: int | None = None,
        tt_data_parallel: int = 1, optimizations: str | None = None, **kwargs: Any,
    ) -> Generator:  # fmt: skip
        if optimizations is not None:
            kwargs["optimizations"] = optimizations
        return cls.select(getattr(hf_config, "_name_or_path", None)).initialize_vllm_model(
            hf_config, mesh_device, max_batch_size, max_seq_len, n_layers=n_layers, tt_data_parallel=tt_data_parallel, **kwargs
        )
