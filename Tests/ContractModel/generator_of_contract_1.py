"""A generator of decode contract 1, around numpy, as tt-transformers has it: explicit commands, padding that writes nothing.

Without `reload_inputs` a traced decode step takes the device's own tokens and positions, whatever the caller sends, and without
`reload_page_table` its table. The generator holds device resources until `cleanup`.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np

from device_sampling import DeviceSampler, LaneParameters, lane_parameters
from model_base import ContractModel, DeviceOutput, HostOutput, padded_length
from paged_pool import PagedPool
from record import counts, require
from seed_managers import RequestSeeds
from tt_metal_common import MAX_BATCHED_PREFILL_TOKENS, PREFILL_BATCH_SIZES, ResidentInputs, blocks_of, resident_inputs

_KNOWN_KEYWORDS = {"page_tables_per_layer", "rope_deltas_all_users", "prompt_tokens", "output_tokens", "slot_remap"}


class Generator(ContractModel):
    """One lane. The capabilities are declared here, not on the dispatcher's class."""

    decode_input_update_contract = 1
    model_capabilities: dict[str, Any] = {
        "supports_prefix_caching": True,
        "supports_async_decode": True,
        "supports_sample_on_device": True,
        "supports_device_penalties": True,
        "max_device_top_k": 32,
        "accepts_trace_mode": True,
    }
    requires_prefill_trace_warmup = True
    is_cleaned_by_caller = True
    max_prefill_batch_size = 8

    def __init__(self, hf_config: Any, mesh_device: Any, rows: int, max_seq_len: int, samples_on_device: bool = True) -> None:
        super().__init__(hf_config, mesh_device, rows, max_seq_len)
        self.samples_on_device = samples_on_device and os.environ.get("CONTRACT_NO_DEVICE_SAMPLING") != "1"
        self.sampler = DeviceSampler()
        self.seeds = RequestSeeds(self.sampler)
        self.model_args = SimpleNamespace(max_batch_size=rows, max_prefill_chunk_size=self.max_prefill_chunk_size)
        self.parameters: LaneParameters | None = None
        self.resident: dict[bool, ResidentInputs] = {}

    @classmethod
    def get_max_tokens_all_users(
        cls, model_name: str = "", num_devices: int = 1, tt_data_parallel: int = 1, max_model_len: int = 0, max_num_seqs: int = 1
    ) -> int:
        return int(max_model_len)

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, n_layers: int | None = None,
        tt_data_parallel: int = 1, optimizations: Any = "performance", trace_mode: str = "all",
        device_sampling_enabled: bool = True,
    ) -> Generator:  # fmt: skip
        if not getattr(hf_config, "_name_or_path", None):
            raise ValueError("hf_config must provide a non-empty _name_or_path")
        if not 1 <= max_batch_size <= 32:
            raise ValueError(f"a lane of {max_batch_size} rows: at most 32 slots are supported")
        if optimizations not in (None, "performance", "accuracy"):
            raise ValueError(f"optimizations {optimizations!r}: allowed are 'performance' and 'accuracy'")
        require(mesh_device.is_open, "a model is made on a closed mesh")
        require(tt_data_parallel == 1 and n_layers is None, f"tt_data_parallel {tt_data_parallel}, n_layers {n_layers}")
        return cls(hf_config, mesh_device, max_batch_size, max_seq_len, device_sampling_enabled)

    def allocate_kv_cache(self, kv_cache_shape: Any = None, dtype: Any = None, num_layers: Any = None) -> Any:
        shape = tuple(int(size) for size in kv_cache_shape)
        if len(shape) != 4 or shape[1] != self.llama.kv_heads or shape[3] != self.llama.head_size or shape[0] < 1:
            raise ValueError(f"a KV cache of {shape} does not fit the model's heads")
        if num_layers != self.llama.layers:
            raise ValueError(f"{num_layers} layers do not match the model's {self.llama.layers}")
        return self.allocate_pool(shape, dtype, num_layers)

    def cleanup(self) -> None:
        """Releases what the device holds for it; nothing works after that."""
        self.note_cleaned()
        self.pool = None

    # Warm-up

    def warmup_model_prefill(self, *, kv_cache: Any, can_sample_on_device: bool, enable_trace: bool) -> None:
        if self.already_warmed_up_prefill:
            return
        self.already_warmed_up_prefill = True
        self.checked_pool(kv_cache)
        counts[f"prefill warm-ups, trace {enable_trace}"] += 1

    def warmup_model_decode(
        self, *, kv_cache: Any, max_batch_size: int, num_blocks: int, can_sample_on_device: bool, enable_trace: bool
    ) -> None:
        require(max_batch_size == self.rows and num_blocks > 0, f"decode warm-up of {max_batch_size} rows")
        tokens, table = np.zeros((self.rows, 1), np.int32), np.zeros((self.rows, num_blocks), np.int32)
        greedy = SimpleNamespace(temperature=[0.0] * self.rows, top_k=[1] * self.rows, top_p=[1.0] * self.rows, seed=None)

        def work() -> None:
            for sampling in [greedy, None] if can_sample_on_device else [None]:
                self.decode_forward(
                    tokens, np.zeros(self.rows, np.int32), table, enable_trace=enable_trace, kv_cache=kv_cache,
                    sampling_params=sampling, reload_sampling_params=sampling is not None,
                    reset_sampling_state=sampling is not None, read_from_device=False,
                )  # fmt: skip
            self.seeds.requests.clear()

        self.warm_up(work, "decode", enable_trace)

    # Prefill

    def prefill_forward(
        self, tokens: Any, page_table: Any, *, enable_trace: bool, prompt_lens: Any = None, start_pos: Any = None,
        empty_slots: Any = None, kv_cache: Any = None, sampling_params: Any = None, **compatibility_kwargs: Any,
    ) -> Any:  # fmt: skip
        _check_keywords("prefill", enable_trace, compatibility_kwargs)
        pool = self.checked_pool(kv_cache)
        ends = [int(end) for end in prompt_lens] if prompt_lens is not None else [tokens.shape[1]] * len(tokens)
        starts = [0] * len(ends) if start_pos is None else [int(start) for start in start_pos]
        slots = list(range(len(ends))) if empty_slots is None else [int(slot) for slot in empty_slots]
        self._plan_checks(pool, tokens, page_table, ends, starts, slots)
        self.account.prefill(tokens, page_table, ends, starts, slots)
        parameters = self._parameters(sampling_params, range(len(ends)))
        lengths = [padded_length(end - start) for start, end in zip(starts, ends)]
        for length in sorted(set(lengths)):
            alike = [row for row, other in enumerate(lengths) if other == length]
            self._count_passes(len(alike), length, any(starts[row] for row in alike))
        logits = np.stack([
            # Behind the prompt's blocks the pass writes nothing.
            self.prefill_pass(
                pool, tokens[row, start:end], start, page_table[row, : blocks_of(end, pool)], first=start, extent=lengths[row]
            )
            for row, (start, end) in enumerate(zip(starts, ends))
        ])  # fmt: skip
        if parameters is None:
            return logits[:, None]
        counts["prefills sampled on the device"] += 1
        sampled = np.zeros((len(ends), 1), np.int64)
        for row, slot in enumerate(slots):
            self.seeds.admit(slot, parameters.seed[row])
            self.seeds.refresh({slot: ends[row] - 1}, everywhere=True)
            sampled[row, 0] = self.sampler.sample(logits[row][None], [slot], parameters.of_row(row))[0]
        return sampled, None

    def _plan_checks(
        self, pool: PagedPool, tokens: Any, table: Any, ends: list[int], starts: list[int], slots: list[int]
    ) -> None:
        if len(slots) != len(ends) or len(set(slots)) != len(slots) or not all(0 <= slot < self.rows for slot in slots):
            raise ValueError(f"empty_slots must contain unique lane-local slots, not {slots}")
        for row, (start, end) in enumerate(zip(starts, ends)):
            if not 0 <= start <= end <= tokens.shape[1]:
                raise ValueError(f"invalid prompt/cached-token lengths for prefill row {row}: {start}, {end}")
            if start % pool.block_size:
                raise ValueError(f"cached prefill start {start} for row {row} must be block aligned")
            if table.shape[1] < blocks_of(end, pool):
                raise ValueError(f"page table is too narrow for prefill row {row}")

    def _count_passes(self, rows: int, length: int, is_cached: bool) -> None:
        """Rows of one padded length are one pass, in any slots; rows after cached tokens are separate passes."""
        batch = next((size for size in PREFILL_BATCH_SIZES if size >= rows), rows)
        is_batched = rows > 1 and not is_cached and length <= self.max_prefill_chunk_size and batch <= self.rows
        if is_batched and batch <= self.max_prefill_batch_size and batch * length < MAX_BATCHED_PREFILL_TOKENS:
            counts["batched prefills"] += 1
            counts["prefill passes"] += 1
            counts["padded tokens"] += batch * length
        else:
            counts["prefill passes"] += rows
            counts["padded tokens"] += rows * length

    def _parameters(self, sampling: Any, active: Any) -> LaneParameters | None:
        if sampling is None:
            return None
        if not self.samples_on_device:
            raise ValueError("sampling parameters were supplied while device sampling is disabled")
        if not self.is_warming:
            self.account.sampling(sampling, len(sampling.temperature), active)
        return lane_parameters(sampling)

    # Decode

    def decode_forward(
        self, tokens: Any, start_pos: Any, page_table: Any, *, enable_trace: bool, kv_cache: Any = None,
        sampling_params: Any = None, reload_inputs: bool = True, reload_page_table: bool = False,
        reload_sampling_params: bool = False, reset_sampling_state: bool = False, read_from_device: bool = True,
        **compatibility_kwargs: Any,
    ) -> Any:  # fmt: skip
        _check_keywords("decode", enable_trace, compatibility_kwargs)
        pool, on_device, remap = self.checked_pool(kv_cache), sampling_params is not None, compatibility_kwargs.get("slot_remap")
        if reload_inputs and reload_page_table:
            raise ValueError("reload_page_table is only valid without reload_inputs")
        if reset_sampling_state and not reload_inputs:
            raise ValueError("reset_sampling_state requires reload_inputs")
        if (reload_sampling_params or reset_sampling_state) and not on_device:
            raise ValueError("there are no sampling parameters to reload, or no state to reset")
        if not self.is_warming:
            transition = self.account.decode(tokens, start_pos, page_table, remap, on_device)
            self.account.reset(reset_sampling_state, transition, on_device)
        active = np.flatnonzero(start_pos >= 0).tolist()
        given = self._parameters(sampling_params, active)
        if on_device:
            self._synchronize(given, active, start_pos.tolist(), remap, reload_sampling_params, reset_sampling_state)
        if enable_trace:
            logits = self._traced(pool, tokens, start_pos, page_table, on_device, reload_inputs, reload_page_table)
        else:
            logits = self.decode_pass(pool, tokens[:, 0].astype(np.int64), start_pos.astype(np.int64), page_table)
        values = logits
        if on_device:
            assert self.parameters is not None
            values = self.sampler.sample(logits, list(range(self.rows)), self.parameters)
            if enable_trace:
                self.resident[True].tokens[:] = values
        output = self.submit(values, on_device), None
        if not read_from_device:
            return output
        return self.process_decode_output_host(self.read_decode_output(output), is_tokens=on_device)

    def _synchronize(
        self, given: LaneParameters | None, active: list[int], positions: list[int], remap: Any, reload: bool, reset: bool
    ) -> None:
        """Remap first, then parameters, then the state of the seeds, then one seed for each row's next token."""
        assert given is not None
        if remap is not None:
            self.seeds.apply_slot_remap(remap.tolist())
        if reload or self.parameters is None:
            self.parameters = given
        self.seeds.synchronize({slot: given.seed[slot] for slot in active}, reset)
        self.seeds.refresh({slot: positions[slot] for slot in active})

    def _traced(
        self, pool: PagedPool, tokens: Any, positions: Any, table: Any, on_device: bool, reload: bool, reload_table: bool
    ) -> np.ndarray:
        if reload or on_device not in self.resident:
            self.resident[on_device] = resident_inputs(tokens, positions, table)
        elif reload_table:
            self.resident[on_device].table = table.copy()
        if not self.is_warming:
            counts["steps from resident inputs"] += not reload
            counts["page tables reloaded alone"] += reload_table
        inputs = self.resident[on_device]
        logits = self.decode_pass(pool, inputs.tokens, inputs.positions, inputs.table)
        if on_device:
            inputs.positions[inputs.positions >= 0] += 1
        return logits

    def read_decode_output(self, tt_out: tuple[DeviceOutput, Any], *, async_read: bool = False) -> Any:
        copy = self.start_reading(tt_out[0])
        if async_read:
            return (copy, tt_out[1]), [copy.event]
        copy.event.is_done = True
        return copy, tt_out[1]

    def process_decode_output_host(self, tt_out: tuple[HostOutput, Any], *, is_tokens: bool = False) -> tuple[Any, Any]:
        values = self.finish_reading(tt_out[0], is_tokens, True)
        return values if is_tokens else values[:, None], tt_out[1]


def _check_keywords(call: str, enable_trace: Any, given: dict[str, Any]) -> None:
    unknown = sorted(set(given) - _KNOWN_KEYWORDS)
    if unknown:
        raise TypeError(f"{call} got an unexpected keyword argument {unknown[0]!r}")
    if not isinstance(enable_trace, bool):
        raise TypeError("enable_trace must be bool")
