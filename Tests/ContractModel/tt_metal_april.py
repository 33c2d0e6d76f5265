"""tt-metal's llama class as of April 2026, around numpy: what it does to a caller's sequences, silent faults included.

A batched prefill computes whole rows whatever their starts are, and padding's keys and values go through the page table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from vllm.model_executor.models.gemma3_mm import Gemma3DummyInputsBuilder, Gemma3MultiModalProcessor, Gemma3ProcessingInfo
from vllm.model_executor.models.interfaces import SupportsMultiModal
from vllm.model_executor.models.mistral3 import Mistral3DummyInputsBuilder, Mistral3MultiModalProcessor, Mistral3ProcessingInfo
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalDataDict
from vllm.multimodal.processing import BaseDummyInputsBuilder

from device_sampling import lane_parameters
from model_base import padded_length
from paged_pool import PagedPool
from record import counts
from tt_metal_common import (
    MAX_BATCHED_PREFILL_TOKENS,
    PREFILL_BATCH_SIZES,
    PrefillRequest,
    TTMetalGenerator,
    blocks_of,
    resident_inputs,
)


class Generator(TTMetalGenerator):
    """The generator; its subclasses are what a caller knows."""

    # Four kinds of sampling: with penalties and without, with log probabilities and without.
    _KINDS = 4

    def warmup_model_prefill(
        self, kv_cache: Any, enable_trace: bool, can_sample_on_device: bool, non_greedy_decoding_on_device: bool
    ) -> None:
        if self.already_warmed_up_prefill:
            return
        self.already_warmed_up_prefill = True
        kinds = self._KINDS if non_greedy_decoding_on_device else 0
        self.warm_up(lambda: self._sweep_prefill(kv_cache, enable_trace, can_sample_on_device, kinds), "prefill", enable_trace)

    def warmup_model_decode(
        self, kv_cache: Any, enable_trace: bool, max_batch_size: int, num_blocks: int, can_sample_on_device: bool,
        non_greedy_decoding_on_device: bool, read_from_device: bool = True,
    ) -> None:  # fmt: skip
        kinds = self._KINDS if non_greedy_decoding_on_device else 0
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
            self.warmup_model_prefill(kv_cache, enable_trace, self.samples_on_device, self.samples_on_device)
        request = self._request(tokens, page_table, kv_cache, prompt_lens, empty_slots, sampling_params, start_pos)
        # Of whole prompts, their cached tokens too.
        lengths = [padded_length(end) for end in request.ends]
        batch = next((size for size in PREFILL_BATCH_SIZES if size >= len(lengths)), self.rows)
        is_uniform = len(lengths) > 1 and len(set(lengths)) == 1
        if is_uniform and batch <= self.rows and batch * lengths[0] < MAX_BATCHED_PREFILL_TOKENS:
            return self._batched(request, tokens, page_table, lengths[0], batch, enable_trace)
        logits = np.zeros((len(lengths), 1, self.llama.vocabulary), np.float32)
        sampled = np.zeros((len(lengths), 1), np.int64)
        for row, length in enumerate(lengths):
            logits[row, 0] = self._single(request, row, tokens[row], page_table[row], length, enable_trace)
            if request.parameters is not None:
                sampled[row, 0] = self._sample_single(request, row, logits[row, 0])
        return logits if request.parameters is None else (sampled, None)

    def _single(
        self, request: PrefillRequest, row: int, tokens: np.ndarray, table: np.ndarray, length: int, enable_trace: bool
    ) -> np.ndarray:
        pool, start, end = request.pool, request.starts[row], request.ends[row]
        first, traced = start, enable_trace and self.can_enable_trace(length, start)
        if traced:
            # The caller's own padding of the table, where that is wide enough.
            table, extent = table[: blocks_of(length, pool)], length
        elif start == 0 and length <= self.max_prefill_chunk_size:
            table, extent = table[: blocks_of(end, pool)], length
        else:
            if start % 32:
                raise RuntimeError(
                    f"TT_FATAL: q_chunk_size must be a positive multiple of TILE_SIZE (chunk_start_idx {start}, q_chunk_size "
                    f"{start & -start})"
                )
            # The class pads the table with zeros by itself, and a start inside a block is taken for the block's begin.
            missing = blocks_of(length + start, pool) - blocks_of(end, pool)
            table = np.concatenate([table[: blocks_of(end, pool)], np.zeros(missing, np.int32)])
            first = start // pool.block_size * pool.block_size
            extent = self._chunk_extent(end - start, length)
            extent = min(extent, (start + extent) // pool.block_size * pool.block_size - first)
        self._count_pass(1, length, traced)
        return self.prefill_pass(pool, tokens[start:end], start, table, first=first, extent=extent)

    def _batched(
        self, request: PrefillRequest, tokens: np.ndarray, table: np.ndarray, length: int, batch: int, enable_trace: bool
    ) -> Any:
        """All rows in one pass, laid out by slot, from token 0 on: `start_pos` is not looked at."""
        pool, slots = request.pool, request.slots
        if length > self.max_prefill_chunk_size:
            raise TypeError("'<' not supported between instances of 'list' and 'int'")
        last_tokens = [0] * batch
        tables = np.full((batch, min(table.shape[1], blocks_of(length, pool))), -1, np.int32)
        for row, slot in enumerate(slots):
            last_tokens[slot] = request.ends[row] - 1
            tables[slot] = table[row, : tables.shape[1]]
        traced = enable_trace and self.can_enable_trace(length, 0)
        # A trace replays the fills of the slots that it was captured with, and no others.
        filled = self.traced_slots.setdefault(f"{length}_{batch}", frozenset(slots)) if traced else frozenset(slots)
        self._count_pass(batch, length, traced)
        logits = np.stack([
            self.prefill_pass(
                pool, tokens[row, : last_tokens[slot] + 1], 0, tables[slot], first=0, extent=length, fills=slot in filled
            )
            for row, slot in enumerate(slots)
        ])  # fmt: skip
        # The output is as long as the call's rows, and is written by slot.
        if request.parameters is None:
            output = np.zeros((len(slots), 1, self.llama.vocabulary), np.float32)
            for row, slot in enumerate(slots):
                output[slot, 0] = logits[row]
            return output
        sampled = np.zeros((len(slots), 1), np.int64)
        for slot, token in zip(slots, self._sample_batch(request, request.parameters, logits)):
            sampled[slot, 0] = token
        return sampled, None

    def can_enable_trace(self, length: int, start: int = 0) -> bool:
        return length in self.traced_prefill_lengths and length <= self.max_seq_len and start == 0

    # Decode

    def decode_forward(
        self, tokens: Any, start_pos: Any, page_table: Any = None, kv_cache: Any = None, enable_trace: bool = True,
        read_from_device: bool = True, sampling_params: Any = None, reset_batch: bool = False, prompt_tokens: Any = None,
        output_tokens: Any = None, slot_remap: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        pool, on_device = self.checked_pool(kv_cache), sampling_params is not None
        self._check_decode(tokens, start_pos, page_table, slot_remap, sampling_params, reset_batch)
        switched, self.mode = self.mode != "decode", "decode"
        if on_device:
            assert self.model[0].sampling is not None, "there is no sampling module for sampling on device"
            # The seeds among the parameters are not looked at here: only prefill sets them.
            if slot_remap is not None:
                self.seed_manager.apply_slot_remap(slot_remap)
            self.seed_manager.get_new_values()
        if enable_trace:
            logits = self._traced(pool, tokens, start_pos, page_table, on_device, switched)
        else:
            logits = self.decode_pass(pool, tokens[:, 0].astype(np.int64), start_pos.astype(np.int64), page_table)
        if not on_device:
            return self._finish(logits, False, read_from_device)
        sampled = self.sampler.sample(logits, list(range(self.rows)), lane_parameters(sampling_params))
        if enable_trace:
            self.resident[True].tokens[:] = sampled
        return self._finish(sampled, True, read_from_device)

    def _traced(
        self, pool: PagedPool, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, on_device: bool, switched: bool
    ) -> np.ndarray:
        """Host inputs count where the mode or the kind of sampling or the page table changed, else the device's own."""
        changed_kind = self.previous_on_device not in (None, on_device)
        self.previous_on_device = on_device
        changed_table = self._table_changed(table)
        if on_device not in self.resident or switched or not on_device or changed_kind or changed_table:
            self.resident[on_device] = resident_inputs(tokens, positions, table)
        elif not self.is_warming:
            counts["steps from resident inputs"] += 1
        return self._replay(pool, self.resident[on_device], on_device)


class DummyInputsBuilder(BaseDummyInputsBuilder):
    def get_dummy_mm_data(self, seq_len: int, mm_counts: Any) -> MultiModalDataDict:
        raise NotImplementedError


# Only there because the real module has them: without vllm, or what stands for it, the module cannot be imported.
@MULTIMODAL_REGISTRY.register_processor(
    Mistral3MultiModalProcessor, info=Mistral3ProcessingInfo, dummy_inputs=Mistral3DummyInputsBuilder
)
class Mistral3ForConditionalGeneration(Generator, SupportsMultiModal):
    model_capabilities = {"supports_prefix_caching": False}


@MULTIMODAL_REGISTRY.register_processor(
    Gemma3MultiModalProcessor, info=Gemma3ProcessingInfo, dummy_inputs=Gemma3DummyInputsBuilder
)
class Gemma3ForConditionalGeneration(Generator, SupportsMultiModal):
    model_capabilities = {"supports_prefix_caching": False}


class LlamaForCausalLM(Generator):
    """The class by which the model is known."""

    model_capabilities = {"supports_prefix_caching": True, "supports_async_decode": True}

    def prefill_forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().prefill_forward_text(*args, **kwargs)

    def decode_forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().decode_forward(*args, **kwargs)
