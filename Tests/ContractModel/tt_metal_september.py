"""tt-metal's llama class as of September 2026, around numpy: starts are floored, seeds follow positions, device tokens may win.

CONTRACT_FIXES names faults of that day that are to be mended, by the number of upstream's pull request: 55630 (an untraced
prefill behind cached tokens loses the row's page table) and 56095 (a batched prefill's trace fills the slots of its capture).
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from vllm.model_executor.models.gemma3_mm import Gemma3DummyInputsBuilder, Gemma3MultiModalProcessor, Gemma3ProcessingInfo
from vllm.model_executor.models.interfaces import SupportsMultiModal
from vllm.model_executor.models.mistral3 import Mistral3DummyInputsBuilder, Mistral3MultiModalProcessor, Mistral3ProcessingInfo
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.processing import BaseDummyInputsBuilder

try:
    from vllm.inputs import MultiModalDataDict
except ImportError:
    from vllm.multimodal.inputs import MultiModalDataDict

from device_sampling import lane_parameters
from model_base import padded_length
from paged_pool import PagedPool
from record import counts
from seed_managers import SeptemberSeedManager
from tt_metal_common import (
    MAX_BATCHED_PREFILL_TOKENS,
    PREFILL_BATCH_SIZES,
    PrefillRequest,
    TTMetalGenerator,
    blocks_of,
    resident_inputs,
)


def batched_prefill_padded_batch(batch_size: int, empty_slots: list[int], max_batch_size: int) -> int:
    """Rows of a batched pass: as many as the highest slot asks for, however few rows there are."""
    span = max([batch_size, *(int(slot) + 1 for slot in empty_slots)])
    return next((size for size in PREFILL_BATCH_SIZES if size >= span), max(span, max_batch_size))


class Generator(TTMetalGenerator):
    """The generator; its subclasses are what a caller knows."""

    seed_manager_class = SeptemberSeedManager
    seed_manager: SeptemberSeedManager
    _KINDS = 4

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fixes = frozenset(os.environ.get("CONTRACT_FIXES", "").split(","))
        # The class's own name, by which callers reach in.
        self._slots_prefilled_since_decode: set[int] = set()
        # The slots whose tokens and positions on the device are those of the last step.
        self.current_slots: set[int] = set()

    @classmethod
    def get_max_tokens_all_users(cls, model_name: str = "", num_devices: int = 1, tt_data_parallel: int = 1, **kwargs: Any) -> int:
        import ttnn

        on_n150 = num_devices // tt_data_parallel == 1 and ttnn.get_arch_name() == "wormhole_b0"
        return 32_768 if "Llama-3.1-8B" in model_name and on_n150 else 131_072

    def warmup_model_prefill(
        self, kv_cache: Any, enable_trace: bool, can_sample_on_device: bool, greedy_only: bool = False
    ) -> None:
        if self.already_warmed_up_prefill:
            return
        self.already_warmed_up_prefill = True
        kinds = 0 if greedy_only else self._KINDS
        self.warm_up(lambda: self._sweep_prefill(kv_cache, enable_trace, can_sample_on_device, kinds), "prefill", enable_trace)

    def warmup_model_decode(
        self, kv_cache: Any, enable_trace: bool, max_batch_size: int, num_blocks: int, can_sample_on_device: bool,
        greedy_only: bool = False, read_from_device: bool = True,
    ) -> None:  # fmt: skip
        kinds = 0 if greedy_only else self._KINDS
        self.warm_up(
            lambda: self._sweep_decode(kv_cache, enable_trace, max_batch_size, num_blocks, can_sample_on_device, kinds),
            "decode", enable_trace,
        )  # fmt: skip

    # Prefill

    def prefill_forward_text(
        self, tokens: Any, page_table: Any = None, kv_cache: Any = None, prompt_lens: Any = None, empty_slots: Any = None,
        enable_trace: bool = True, sampling_params: Any = None, start_pos: Any = None, warmup_prefill: bool = True, **kwargs: Any,
    ) -> Any:  # fmt: skip
        if kwargs:
            raise TypeError(f"prefill got unexpected keyword arguments {sorted(kwargs)}")
        if warmup_prefill and not self.already_warmed_up_prefill:
            counts["warm-ups inside a prefill"] += 1
            self.warmup_model_prefill(kv_cache, enable_trace, self.samples_on_device)
        request = self._request(tokens, page_table, kv_cache, prompt_lens, empty_slots, sampling_params, start_pos)
        self._slots_prefilled_since_decode.update(request.slots)
        for row, end in enumerate(request.ends):
            request.starts[row] = self._floored(request.starts[row], end, request.pool.block_size)
            assert 0 <= request.starts[row] < end, f"row {row}: {request.starts[row]} cached tokens of {end}"
        lengths = [padded_length(end - start) for start, end in zip(request.starts, request.ends)]
        is_uniform = len(lengths) > 1 and len(set(lengths)) == 1 and lengths[0] <= self.max_prefill_chunk_size
        if is_uniform and not any(request.starts):
            batch = batched_prefill_padded_batch(len(lengths), request.slots, self.rows)
            if batch <= self.rows and batch * lengths[0] < MAX_BATCHED_PREFILL_TOKENS:
                return self._batched(request, tokens, page_table, lengths[0], batch, enable_trace)
        logits = np.zeros((len(lengths), 1, self.llama.vocabulary), np.float32)
        sampled = np.zeros((len(lengths), 1), np.int64)
        for row, length in enumerate(lengths):
            logits[row, 0] = self._single(request, row, tokens[row], page_table[row], length, enable_trace)
            if request.parameters is not None:
                sampled[row, 0] = self._sample_single(request, row, logits[row, 0])
        return logits if request.parameters is None else (sampled, None)

    def _floored(self, cached: int, end: int, block_size: int) -> int:
        """The start that the class takes: one at which blocks and the attention's query chunks begin."""
        floored = cached // block_size * block_size
        while cached:
            # Flooring makes the rest longer, and a longer rest may ask for more.
            alignment = self._resume_offset_alignment(padded_length(end - floored), block_size)
            if cached // alignment * alignment == floored:
                break
            floored = cached // alignment * alignment
        return floored

    def _resume_offset_alignment(self, prefill_seq_len: int, block_size: int, model_id: int = 0) -> int:
        """Of blocks, and of the attention's query chunks: 64, or 256 where the padded rest is long."""
        return math.lcm(block_size, 256 if prefill_seq_len >= 2048 else 64)

    def _single(
        self, request: PrefillRequest, row: int, tokens: np.ndarray, table: np.ndarray, length: int, enable_trace: bool
    ) -> np.ndarray:
        pool, start, end = request.pool, request.starts[row], request.ends[row]
        extent, traced = length, enable_trace and self.can_enable_trace(length)
        if traced:
            # Behind the prompt's blocks there is nothing, so padding is skipped.
            table = table[: blocks_of(end, pool)]
        elif start == 0 and length <= self.max_prefill_chunk_size:
            table = table[: blocks_of(length, pool)]
        else:
            # Cut to the padded rest's blocks, though the cached ones are in it too; then zeros up to where it should be.
            known = blocks_of(length + (start if "55630" in self.fixes else 0), pool)
            missing = blocks_of(length + start, pool) - len(table[:known])
            table = np.concatenate([table[:known], np.zeros(missing, np.int32)])
            extent = self._chunk_extent(end - start, length)
        self._count_pass(1, length, traced)
        return self.prefill_pass(pool, tokens[start:end], start, table, first=start, extent=extent)

    def _batched(
        self, request: PrefillRequest, tokens: np.ndarray, table: np.ndarray, length: int, batch: int, enable_trace: bool
    ) -> Any:
        """All rows in one pass, laid out by slot; the output is in the order of the rows."""
        pool, slots = request.pool, request.slots
        table = table[:, : blocks_of(length, pool)]
        traced = enable_trace and self.can_enable_trace(length)
        filled = frozenset(slots)
        if traced and "56095" not in self.fixes:
            filled = self.traced_slots.setdefault(f"{length}_{batch}", filled)
        self._count_pass(batch, length, traced)
        logits = np.stack([
            self.prefill_pass(
                pool, tokens[row, : request.ends[row]], 0, table[row], first=0, extent=length, fills=slot in filled
            )
            for row, slot in enumerate(slots)
        ])  # fmt: skip
        if request.parameters is None:
            return logits[:, None]
        return self._sample_batch(request, request.parameters.in_slots(slots), logits)[:, None], None

    def can_enable_trace(self, length: int, cached: int = 0) -> bool:
        return length in self.traced_prefill_lengths and length <= self.max_seq_len

    # Decode

    def decode_forward(
        self, tokens: Any, start_pos: Any, page_table: Any = None, kv_cache: Any = None, enable_trace: bool = True,
        read_from_device: bool = True, sampling_params: Any = None, reset_batch: bool = False, prompt_tokens: Any = None,
        output_tokens: Any = None, slot_remap: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        pool, on_device = self.checked_pool(kv_cache), sampling_params is not None
        self._check_decode(tokens, start_pos, page_table, slot_remap, sampling_params, reset_batch)
        switched, self.mode = self.mode != "decode", "decode"
        changed_kind = self.previous_on_device not in (None, on_device)
        self.previous_on_device = on_device
        reload = not enable_trace or on_device not in self.resident or not on_device or reset_batch or switched or changed_kind
        reload = bool(reload or kwargs.get("reload_inputs"))
        given, positions = tokens[:, 0].astype(np.int64), start_pos.astype(np.int64)
        if on_device and (reset_batch or switched) and enable_trace and True in self.resident:
            given, positions = self._merged(given, positions, slot_remap)
        self._slots_prefilled_since_decode = set()
        self.current_slots = set(np.flatnonzero(positions >= 0).tolist()) if on_device and enable_trace else set()
        if enable_trace:
            logits = self._traced(pool, given, positions, page_table, on_device, reload)
        else:
            logits = self.decode_pass(pool, given, positions, page_table)
        if slot_remap is not None:
            self.seed_manager.apply_slot_remap(slot_remap)
        if not on_device:
            return self._finish(logits, False, read_from_device)
        sampled = self._sampled(logits, lane_parameters(sampling_params), positions.tolist(), reset_batch, reload)
        if enable_trace:
            self.resident[True].tokens[:] = sampled
        return self._finish(sampled, True, read_from_device)

    def _merged(self, tokens: np.ndarray, positions: np.ndarray, remap: Any) -> tuple[np.ndarray, np.ndarray]:
        """Host inputs for slots that were prefilled since the last step, or are elsewhere on the device; else the device's.

        A host may lag behind by a step, so a device that is one ahead is believed. What the device has of a row that the
        host sampled meanwhile is older than the row, or another row's, and fits by chance.
        """
        device_tokens, device_positions = self.resident[True].tokens, self.resident[True].positions
        slots = np.arange(self.rows) if remap is None else np.asarray(remap)
        device_tokens, device_positions = device_tokens[slots], device_positions[slots]
        believed = (device_positions == positions) | (device_positions == positions + 1)
        believed[sorted(self._slots_prefilled_since_decode)] = False
        if not self.is_warming:
            asked = [row for row in np.flatnonzero(positions >= 0).tolist() if row not in self._slots_prefilled_since_decode]
            self.account.merge([row for row in asked if slots[row] not in self.current_slots])
        return np.where(believed, device_tokens, tokens), np.where(believed, device_positions, positions)

    def _traced(
        self, pool: PagedPool, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, on_device: bool, reload: bool
    ) -> np.ndarray:
        changed = self._table_changed(table)
        if reload:
            self.resident[on_device] = resident_inputs(tokens, positions, table)
        elif changed:
            self.resident[on_device].table = table.copy()
        if not self.is_warming:
            counts["steps from resident inputs"] += not reload
            counts["page tables reloaded alone"] += changed and not reload
        return self._replay(pool, self.resident[on_device], on_device)

    def _sampled(self, logits: np.ndarray, parameters: Any, positions: list[int], reset: bool, reload: bool) -> np.ndarray:
        """Seeds are registered here, and tied to positions where those are the host's."""
        assert self.model[0].sampling is not None, "there is no sampling module for sampling on device"
        live, seeds = [slot for slot, position in enumerate(positions) if position >= 0], self.seed_manager
        seeds.deactivate_slots_except(live)
        registered = live
        if reset:
            seeds.reset_seed_from_slots(parameters.seed, live)
        else:
            registered = seeds.reset_changed(parameters.seed, live)
        seeds.align_seed_counters_to_positions(parameters.seed, live if reload else registered, positions)
        seeds.get_new_values(live)
        return self.sampler.sample(logits, list(range(self.rows)), parameters)


class DummyInputsBuilder(BaseDummyInputsBuilder):
    def get_dummy_mm_data(self, seq_len: int, mm_counts: Any) -> MultiModalDataDict:
        raise NotImplementedError


# Only there because the real module has them: without vllm, or what stands for it, the module cannot be imported.
@MULTIMODAL_REGISTRY.register_processor(
    Mistral3MultiModalProcessor, info=Mistral3ProcessingInfo, dummy_inputs=Mistral3DummyInputsBuilder
)
class Mistral3ForConditionalGeneration(Generator, SupportsMultiModal):
    model_capabilities = {"supports_prefix_caching": False, "supports_sample_on_device": True}


@MULTIMODAL_REGISTRY.register_processor(
    Gemma3MultiModalProcessor, info=Gemma3ProcessingInfo, dummy_inputs=Gemma3DummyInputsBuilder
)
class Gemma3ForConditionalGeneration(Generator, SupportsMultiModal):
    model_capabilities = {"supports_prefix_caching": False, "supports_sample_on_device": True}


class LlamaForCausalLM(Generator):
    """The class by which the model is known."""

    model_capabilities = {
        "supports_prefix_caching": True,
        "supports_async_decode": True,
        "supports_sample_on_device": True,
        "supports_device_grammar": True,
        "supports_chunked_prefill": True,
    }

    def prefill_forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().prefill_forward_text(*args, **kwargs)

    def decode_forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().decode_forward(*args, **kwargs)
