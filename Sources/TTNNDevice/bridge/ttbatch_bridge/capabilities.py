"""The capabilities of a model: declared by its class (TT contract §1.6, §1.9), read from its signatures, or known."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import Any, Callable

from ttbatch_bridge.rules import PrefillSlots, Rules, model_parts, prefix_alignment, rules_of
from ttbatch_bridge.seeds import Draws, draws_of


@dataclass
class Capabilities:
    """The capabilities that ttbatch needs to plan steps."""

    # A description of the class's age, for messages.
    age: str
    # 1: explicit commands with every decode step; 0: `reset_batch`.
    decode_contract: int
    supports_sample_on_device: bool
    max_device_top_k: int | None
    # Sampling parameters are lists with one element for each row; otherwise one set for all rows of a step.
    samples_per_row: bool
    draws: Draws
    # Pairs of a padded length and the multiple of tokens at which a prefill of that length can start; empty: no
    # sharing.
    prefix_alignment: list[list[int]]
    prefill_slots: PrefillSlots
    largest_prefill: int
    prefill_padding: str
    # Longer prefills run in chunks, one row at a time.
    prefill_chunk: int | None
    # Decode steps can continue from the tokens and positions on the device.
    supports_async_decode: bool
    # `decode_forward` and reading its output are separate calls.
    splits_read: bool
    # Logits can be returned for selected rows only; only the selected rows are copied from the device.
    compact_host_logits: bool
    selective_host_readback: bool
    supported_batch_sizes: list[int] | None
    # The class declares `model_capabilities`, so its **kwargs are the keywords of the newer contract.
    is_recent: bool

    def header(self) -> dict[str, Any]:
        return asdict(self)


def stated_by(model: Any) -> dict[str, Any] | None:
    """The `model_capabilities` of a class or of an instance, which may be of another class."""
    declared = getattr(model, "model_capabilities", None)
    return dict(declared) if isinstance(declared, dict) else None


def capabilities_of(
    model_class: Any, model: Any, *, block_size: int, longest: int, traces_prefill: bool
) -> Capabilities:
    """Asks the class, then the model that it created: a dispatcher's model has another class, which declares more."""
    declared = stated_by(model) or stated_by(model_class)
    stated = (stated_by(model_class) or {}) | (stated_by(model) or {})
    rules = rules_of(model)
    contract = min(1, int(getattr(model, "decode_input_update_contract", 0)))
    on_device = _samples_on_device(model, rules, stated)
    sizes = getattr(model, "tt_supported_decode_batch_sizes", None)
    splits = hasattr(model, "read_decode_output") and takes(model.decode_forward, "read_from_device", recent=True)
    return Capabilities(
        age=rules.age,
        decode_contract=contract,
        supports_sample_on_device=on_device,
        max_device_top_k=stated.get("max_device_top_k", 32 if on_device else None),
        samples_per_row=contract >= 1 or takes(model.decode_forward, "reset_batch", recent=declared is not None),
        draws=draws_of(model) if on_device else Draws.NONE,
        prefix_alignment=prefix_alignment(model, rules, stated, block_size, longest, traces_prefill),
        prefill_slots=rules.prefill_slots,
        largest_prefill=rules.largest_prefill,
        prefill_padding=rules.prefill_padding,
        prefill_chunk=_prefill_chunk(model),
        # A model of the older contract decides itself by `reset_batch` what it keeps.
        supports_async_decode=bool(stated.get("supports_async_decode", contract == 0)),
        splits_read=splits,
        compact_host_logits=bool(stated.get("supports_compact_host_logits", False)),
        selective_host_readback=bool(stated.get("supports_selective_host_readback", False)),
        supported_batch_sizes=[int(size) for size in sizes] if isinstance(sizes, (list, tuple)) else None,
        is_recent=declared is not None,
    )


def takes(function: Callable[..., Any], name: str, *, recent: bool) -> bool:
    """Whether a method accepts the keyword argument `name`: as a parameter or, if `recent`, through **kwargs."""
    parameters = inspect.signature(function).parameters
    return name in parameters or recent and any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def accepted(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """The part of `arguments` that a method's signature names."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in parameters}


def _samples_on_device(model: Any, rules: Rules, stated: dict[str, Any]) -> bool:
    """What the class declares, or what is known of its age, unless the parts of the loaded model contradict it.

    A model whose vocabulary is too large for its chips' sampler always returns logits.
    """
    parts = [part for part in model_parts(model) if hasattr(part, "_supports_on_device_sampling")]
    if any(not part._supports_on_device_sampling or getattr(part, "sampling", None) is None for part in parts):
        return False
    return bool(stated.get("supports_sample_on_device", rules.samples_undeclared and bool(parts)))


def _prefill_chunk(model: Any) -> int | None:
    arguments = getattr(model, "model_args", None)
    first = arguments[0] if isinstance(arguments, (list, tuple)) and arguments else arguments
    chunk = getattr(first, "max_prefill_chunk_size", None)
    return int(chunk) if isinstance(chunk, int) else None
