"""What a model class says of itself (contract §1.6, §1.9), and what its methods' signatures tell beyond that."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import Any, Callable

# Classes of before `model_capabilities`, which can sample on the device all the same.
_SAMPLING_MODULES = ("models.demos.llama3_70b_galaxy.tt.generator_vllm", "models.tt_transformers.tt.generator_vllm")


@dataclass
class Capabilities:
    """What ttbatch plans with."""

    # 1: explicit commands and a slot remap with every decode; 0: `reset_batch`.
    decode_contract: int
    supports_sample_on_device: bool
    max_device_top_k: int | None
    # Sampling parameters are lists with an element for each row; otherwise one set for all rows of a step.
    samples_per_row: bool
    supports_device_seeded_sampling: bool
    supports_prefix_caching: bool
    # Decode steps can go on from the tokens and positions that the device has.
    supports_async_decode: bool
    # `decode_forward` and the reading of its output are two calls.
    splits_read: bool
    supported_batch_sizes: list[int] | None
    # The class declares `model_capabilities`: then what it takes as **kwargs are the keywords of the newer contract.
    is_recent: bool

    def header(self) -> dict[str, Any]:
        return asdict(self)


def capabilities_of(model_class: Any) -> Capabilities:
    declared = getattr(model_class, "model_capabilities", None)
    stated: dict[str, Any] = declared if isinstance(declared, dict) else {}
    contract = min(1, int(getattr(model_class, "decode_input_update_contract", 0)))
    on_device = stated.get("supports_sample_on_device", declared is None and _samples_by_module(model_class))
    sizes = getattr(model_class, "tt_supported_decode_batch_sizes", None)
    splits = hasattr(model_class, "read_decode_output") and takes(model_class.decode_forward, "read_from_device", recent=True)
    return Capabilities(
        decode_contract=contract,
        supports_sample_on_device=bool(on_device),
        max_device_top_k=stated.get("max_device_top_k", 32 if on_device else None),
        samples_per_row=contract >= 1 or takes(model_class.decode_forward, "reset_batch", recent=declared is not None),
        supports_device_seeded_sampling=bool(stated.get("supports_device_seeded_sampling", False)),
        supports_prefix_caching=bool(stated.get("supports_prefix_caching", False)),
        # A model of the older contract decides by `reset_batch` itself what it keeps.
        supports_async_decode=bool(stated.get("supports_async_decode", contract == 0)),
        splits_read=splits,
        supported_batch_sizes=[int(size) for size in sizes] if isinstance(sizes, (list, tuple)) else None,
        is_recent=declared is not None,
    )


def takes(function: Callable[..., Any], name: str, *, recent: bool) -> bool:
    """Whether a method accepts the keyword argument `name`: by that name or, of a `recent` class, as one of **kwargs."""
    parameters = inspect.signature(function).parameters
    return name in parameters or recent and any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _samples_by_module(model_class: Any) -> bool:
    return any(getattr(model_class, "__module__", "").startswith(module) for module in _SAMPLING_MODULES)
