"""What is known of TT model classes beyond what they declare: what works, the workarounds, and what is not used.

Classes differ by age, and tt-metal's tree has no versions that a program could compare, so the age is recognised from
the contents of modules. The rules of each age were read from its source, and the first was also run (README.md, "On
Tenstorrent hardware"). The program uses `Rules`; `ttbatch devices` shows `notes`.

In both ages of tt-metal, a traced prefill of several rows keeps the set of slots that it was captured with. So rows are
batched in sets of 1, 2, 4 … there, and prefill traces are off by default.
"""

from __future__ import annotations

import enum
import math
import sys
from dataclasses import dataclass
from typing import Any


class PrefillSlots(str, enum.Enum):
    """The meaning of the slots of a prefill for a class."""

    # They only number the rows of the call. If the device samples, rows in the slots 0, 1, … are batched; others run
    # alone.
    IN_ORDER = "in_order"
    # They are the rows' batch slots; several rows together cost a pass up to the highest slot.
    SPANNING = "spanning"
    # They are the rows' batch slots; the class divides the rows into passes itself.
    OWN = "own"


@dataclass(frozen=True)
class Rules:
    """The rules for classes of one age."""

    # The age and the workarounds, for messages.
    age: str
    notes: str
    prefill_slots: PrefillSlots
    # Maximum number of rows of one call.
    largest_prefill: int
    # The length that is padded to 128, 1024 and powers of two: `none`, `rest` (the tokens left to compute) or `whole`.
    prefill_padding: str
    default_trace_mode: str
    # The class samples on the device although it does not declare it.
    samples_undeclared: bool
    # Prefix sharing is known to be correct although the class declares no start positions; see `prefix_alignment`.
    shares_prefixes: bool


_TO_AUGUST = Rules(
    "tt-metal to 2026-08",
    "rows are batched in the slots 0, 1, … only, and padded like whole ones behind cached tokens; the device's random state is "
    "set by ttbatch; seeded jobs are sampled on the host",
    PrefillSlots.IN_ORDER, 32, "whole", "decode_only", True, True,
)  # fmt: skip
_FROM_AUGUST = Rules(
    "tt-metal from 2026-08",
    "rows are batched where their slots lie close; prefixes are shared with trace_mode all and at traced lengths only, since "
    "an untraced prefill loses its cached tokens (tt-metal#55630)",
    PrefillSlots.SPANNING, 32, "rest", "decode_only", False, False,
)  # fmt: skip
_CONTRACT_1 = Rules(
    "decode contract 1",
    "up to 8 rows are batched; seeded jobs are sampled on the host, since equal seeds are told apart by their slots",
    PrefillSlots.OWN, 8, "rest", "all", False, True,
)  # fmt: skip
_OTHER = Rules(
    "of its own kind", "nothing is assumed that it does not declare", PrefillSlots.OWN, 32, "none", "all", False, False
)


def rules_of(model: Any) -> Rules:
    """The rules for a model, or for its class before a model is created; a dispatcher's model has another class."""
    cls = model if isinstance(model, type) else type(model)
    owner = next((c for c in cls.__mro__ if "prefill_forward_text" in vars(c)), None)
    if owner is not None:
        spans = hasattr(sys.modules.get(owner.__module__), "batched_prefill_padded_batch")
        return _FROM_AUGUST if spans else _TO_AUGUST
    return _CONTRACT_1 if int(getattr(model, "decode_input_update_contract", 0)) >= 1 else _OTHER


def model_parts(model: Any) -> list[Any]:
    """The parts of a tt-metal model, one for each replica in it; empty for other models."""
    parts = getattr(model, "model", None)
    return list(parts) if isinstance(parts, (list, tuple)) else []


def prefix_alignment(
    model: Any, rules: Rules, stated: dict[str, Any], block_size: int, longest: int, traces_prefill: bool
) -> list[list[int]]:
    """Where a prefill after cached tokens can start: pairs of a padded length and the multiple for lengths up to it.

    Empty if the class does not share prefixes, or if the positions are not known.
    """
    if not stated.get("supports_prefix_caching", False):
        return []
    declared = stated.get("resumed_prefill_token_alignment")
    lengths = _padded_lengths(longest)
    own = getattr(model, "_resume_offset_alignment", None)
    if callable(own):
        traced = [length for length in lengths if traces_prefill and _is_traced(model, length)]
        return [
            [length, math.lcm(32, int(own(length, block_size))) if length in traced else _NEVER] for length in lengths
        ] if traced else []  # fmt: skip
    if isinstance(declared, int) and declared > 0:
        return [[lengths[-1], math.lcm(block_size, 32, declared)]]
    if not rules.shares_prefixes:
        return []
    # Until 2026-08 the attention adapts its chunk to the start. The packages of contract 1 require whole blocks, and
    # 256 is the largest chunk of an attention.
    return [[lengths[-1], math.lcm(block_size, 32 if rules.prefill_slots is PrefillSlots.IN_ORDER else 256)]]


def use_host_inputs(model: Any, rows: int) -> None:
    """Makes a model of the older form take tokens and positions from the host at the next reset (TT contract §1.6).

    From 2026-08 such a class keeps the device's token of a row whose position there fits, since its caller may lag
    behind by a step. ttbatch never does; but where the host has sampled meanwhile, the device's token is an old one or
    another row's. Slots that were prefilled since the last step are always the host's.
    """
    model._slots_prefilled_since_decode = set(range(rows))


# A multiple that is larger than any start position.
_NEVER = 1 << 30


def _is_traced(model: Any, length: int) -> bool:
    """Whether a prefill of this padded length after cached tokens runs as a trace."""
    arguments = getattr(model, "model_args", None) or [None]
    asks = getattr(arguments[0], "can_enable_trace", None)
    return bool(callable(asks) and asks(length, 1))


def _padded_lengths(longest: int) -> list[int]:
    lengths = [128, 1024]
    while lengths[-1] < longest:
        lengths.append(2 * lengths[-1])
    return lengths
