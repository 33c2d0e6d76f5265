"""The TT model: loading, KV cache, warm-up and release (TT contract §1.1, §1.2, §1.7)."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ttbatch_bridge import weight_cache
from ttbatch_bridge.capabilities import Capabilities, accepted, capabilities_of
from ttbatch_bridge.errors import Refused, first_line
from ttbatch_bridge.tensors import TensorKind

log = logging.getLogger("model")

# Messages of failing cards or links: a retry may succeed after a reset. Other errors would happen again.
_DEVICE_TROUBLE = ("timeout", "timed out", "hang", "hung", "ethernet", "0xffffffff", "arc ", "nocread", "noc read")


@dataclass
class LoadedModel:
    """A model on the mesh, with the sizes of every step."""

    model: Any
    capabilities: Capabilities
    tensors: TensorKind
    vocabulary: int
    rows: int
    max_seq_len: int
    trace_mode: str
    kv_cache: Any = None
    page_table_width: int = 0

    @property
    def traces_prefill(self) -> bool:
        return self.trace_mode == "all"

    @property
    def traces_decode(self) -> bool:
        return self.trace_mode in ("all", "decode_only")

    def release(self) -> None:
        """Releases what the model holds on the mesh, if the model has a method for it."""
        if hasattr(self.model, "cleanup"):
            self.model.cleanup()


def load(mesh_device: Any, model_class: Any, request: dict[str, Any]) -> tuple[LoadedModel, dict[str, Any]]:
    """Creates the model and returns its capabilities."""
    name = f"{model_class.__module__}:{model_class.__name__}"
    hf_config = _hf_config(request)
    _check_sizes(hf_config, request)
    folder = weight_cache.choose_folder(os.environ.get("HF_MODEL"), hf_config)
    if folder is not None:
        log.info("converted weights are kept in %s", folder)
    try:
        model = model_class.initialize_vllm_model(
            hf_config,
            mesh_device,
            request["max_batch_size"],
            max_seq_len=request["max_seq_len"],
            tt_data_parallel=request["data_parallel"],
            optimizations=request.get("optimizations"),
        )
    except Exception as error:
        raise_refusal(error, f"{name} does not load")
        raise
    if not hasattr(model, "prefill_forward") or not hasattr(model, "decode_forward"):
        raise Refused(f"{name} gave a {type(model).__name__}, which has no prefill_forward or decode_forward")
    trace_mode, longest = request["trace_mode"], request["max_seq_len"]
    capabilities = capabilities_of(
        model_class, model, block_size=request["block_size"], longest=longest, traces_prefill=trace_mode == "all"
    )
    loaded = LoadedModel(
        model, capabilities, TensorKind(), request["config"]["vocab_size"], request["max_batch_size"], longest, trace_mode
    )
    return loaded, capabilities.header() | {"tensors": loaded.tensors.name}


def raise_refusal(error: Exception, what: str) -> None:
    """Raises Refused for an error that would happen again; returns if the device may have caused it."""
    text = first_line(error)
    if "out of memory" in text.lower():
        raise Refused(
            f"{what}, since the board's memory is too small: {text}; lower max_model_len, max_num_seqs or "
            "tt.trace_region_size, or choose a mesh of more chips"
        ) from error
    if isinstance(error, RuntimeError) and any(word in text.lower() for word in _DEVICE_TROUBLE):
        return
    if "tokenizer" in text.lower():
        text += "; put the checkpoint's tokenizer files (tokenizer.json, tokenizer_config.json) beside its weights"
    elif isinstance(error, OSError) and not isinstance(error, (FileNotFoundError, PermissionError)):
        return
    raise Refused(f"{what}: {type(error).__name__}: {text}") from error


def allocate_kv_cache(loaded: LoadedModel, request: dict[str, Any]) -> None:
    """Allocates the paged pool: for each layer K and V of shape (blocks, heads of a chip, block size, head size)."""
    layers, shape = request["layers"], tuple(request["shape"])
    dtype = loaded.tensors.dtype("bfloat16")
    loaded.page_table_width = request["page_table_width"]
    model = loaded.model
    try:
        if hasattr(model, "allocate_kv_cache_per_layer"):
            loaded.kv_cache = model.allocate_kv_cache_per_layer([(shape, dtype, layer) for layer in range(layers)])
        else:
            loaded.kv_cache = model.allocate_kv_cache(shape, dtype, layers)
    except Exception as error:
        if "out of memory" not in str(error).lower():
            raise_refusal(error, "the KV cache cannot be allocated")
            raise
        tokens = shape[0] * shape[2]
        raise Refused(
            f"the KV cache does not fit: {shape[0]} blocks of {shape[2]} tokens ({tokens} tokens), {layers} layers of "
            f"{shape[1]} heads of {shape[3]}: {first_line(error)}; lower num_blocks_override, max_num_seqs or "
            "tt.trace_region_size"
        ) from error


def warm_up(loaded: LoadedModel, request: dict[str, Any]) -> None:
    """Compiles everything before capturing traces: a compilation during a capture can corrupt the trace's memory."""
    model = loaded.model
    if not hasattr(model, "warmup_model_prefill") or not hasattr(model, "warmup_model_decode"):
        log.info("the model has no warm-up: the first steps of each shape take longer")
        return
    for trace in (False, True):
        if trace and not loaded.traces_decode:
            break
        if trace and loaded.traces_prefill and hasattr(model, "already_warmed_up_prefill"):
            model.already_warmed_up_prefill = False
        if not trace or loaded.traces_prefill:
            _warm_up_with(
                model.warmup_model_prefill, sampling=request["sample_prefill"], enable_trace=trace, kv_cache=loaded.kv_cache
            )
        _warm_up_with(
            model.warmup_model_decode,
            sampling=request["sample_decode"],
            enable_trace=trace,
            kv_cache=loaded.kv_cache,
            max_batch_size=loaded.rows,
            num_blocks=loaded.page_table_width,
        )


def _warm_up_with(method: Any, *, sampling: bool, **arguments: Any) -> None:
    # The second flag is required until 2026-06.
    flags = {"can_sample_on_device": sampling} | accepted(method, non_greedy_decoding_on_device=sampling)
    try:
        method(**arguments, **flags)
    except Exception as error:
        raise_refusal(error, "the model's warm-up fails")
        raise


def _hf_config(request: dict[str, Any]) -> Any:
    """transformers' configuration if HF_MODEL names a model; otherwise plain attributes with the sizes from ttbatch."""
    name = os.environ.get("HF_MODEL")
    if not name:
        return SimpleNamespace(**request["config"])
    try:
        from transformers import AutoConfig
    except ImportError:
        file = Path(name) / "config.json"
        if not file.is_file():
            raise Refused(
                f"transformers is not installed and {file} does not exist: install transformers, or set bridge.hf_model "
                "to a folder with config.json"
            ) from None
        return SimpleNamespace(**json.loads(file.read_text()) | {"_name_or_path": name})
    try:
        return AutoConfig.from_pretrained(name)
    except Exception as error:
        raise Refused(f"bridge.hf_model {name} has no usable configuration: {first_line(error)}") from error


def _check_sizes(hf_config: Any, request: dict[str, Any]) -> None:
    """Checks that ttbatch's file, with the tokenizer and the chat template, is of the same model."""
    for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"):
        ours, theirs = request["config"][name], getattr(hf_config, name, None)
        if theirs is not None and theirs != ours:
            raise Refused(
                f"bridge.hf_model and the model file are different models: {name} is {theirs} there and {ours} in "
                f"{request['config']['_name_or_path']}; choose files of one model"
            )
