"""What tt-metal's generators of April and of September 2026 have in common: loading, warm-up, resident decode inputs, reading."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from device_sampling import LANES, DeviceSampler, LaneParameters, lane_parameters
from model_base import ContractModel, DeviceOutput, HostOutput, check_batch_size, gguf_path
from paged_pool import PagedPool
from record import counts, require
from seed_managers import AprilSeedManager
from weight_cache import load_through_cache

MAX_BATCHED_PREFILL_TOKENS = 128 * 1024
MAX_PROMPT_LEN_ON_N150 = 32768
PREFILL_BATCH_SIZES = (1, 2, 4, 8, 16, 32)


@dataclass
class ResidentInputs:
    """A decode trace's inputs on the device: it writes the sampled tokens back, and adds one to the positions."""

    tokens: np.ndarray
    positions: np.ndarray
    table: np.ndarray


@dataclass
class PrefillRequest:
    """A prefill's arguments as Python has them."""

    pool: PagedPool
    ends: list[int]
    starts: list[int]
    slots: list[int]
    parameters: LaneParameters | None


class TTMetalGenerator(ContractModel):
    """The two generators' base."""

    model_capabilities: dict[str, Any] = {}
    seed_manager_class: type[AprilSeedManager] = AprilSeedManager

    def __init__(self, hf_config: Any, mesh_device: Any, rows: int, max_seq_len: int) -> None:
        super().__init__(hf_config, mesh_device, rows, max_seq_len)
        load_through_cache(self.llama, gguf_path(hf_config), mesh_device)
        # On one chip the vocabulary is sampled in two parts.
        parts = max(2, mesh_device.get_num_devices())
        supported = self.llama.vocabulary // parts <= 65536 and os.environ.get("CONTRACT_NO_DEVICE_SAMPLING") != "1"
        self.sampler = DeviceSampler()
        self.seed_manager = self.seed_manager_class(self.sampler)
        sampling = SimpleNamespace(seed_manager=self.seed_manager, tt_sampling=SimpleNamespace(max_batch_size=LANES))
        # Where others reach in for the seed manager.
        self.model = [SimpleNamespace(sampling=sampling if supported else None, _supports_on_device_sampling=supported)]
        arguments = {"max_batch_size": rows, "max_seq_len": max_seq_len, "max_prefill_chunk_size": self.max_prefill_chunk_size}
        self.model_args = [
            SimpleNamespace(**arguments, vocab_size=self.llama.vocabulary, can_enable_trace=self.can_enable_trace)
        ]
        self.mode: str | None = None
        self.resident: dict[bool, ResidentInputs] = {}
        self.previous_table: np.ndarray | None = None
        self.previous_on_device: bool | None = None
        # The slots that a batched prefill's trace fills: those of the call that was captured.
        self.traced_slots: dict[str, frozenset[int]] = {}

    def can_enable_trace(self, length: int, cached: int = 0) -> bool:
        """Whether a prefill of this padded length, after cached tokens or not, runs as a trace."""
        raise NotImplementedError

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, n_layers: int | None = None,
        tt_data_parallel: int = 1, optimizations: str | None = "performance",
    ) -> TTMetalGenerator:  # fmt: skip
        import ttnn

        name = hf_config._name_or_path
        on_n150 = mesh_device.get_num_devices() == 1 and ttnn.get_arch_name() == "wormhole_b0"
        if ("3.1-8B" in name or "3.2-11B" in name) and on_n150 and max_seq_len > MAX_PROMPT_LEN_ON_N150:
            raise ValueError(
                f"this model does not support max_model_len greater than {MAX_PROMPT_LEN_ON_N150} on N150 (received {max_seq_len})"
            )
        if optimizations not in (None, "performance", "accuracy"):
            raise ValueError(f"optimizations {optimizations!r}: allowed are 'performance' and 'accuracy'")
        require(mesh_device.is_open, "a model is made on a closed mesh")
        require(tt_data_parallel == 1 and n_layers is None, f"tt_data_parallel {tt_data_parallel}, n_layers {n_layers}")
        check_batch_size(max_batch_size // tt_data_parallel)
        return cls(hf_config, mesh_device, max_batch_size, max_seq_len)

    def prefill_forward_text(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def decode_forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def allocate_kv_cache(self, *args: Any, **kwargs: Any) -> Any:
        return self.allocate_pool(*args, **kwargs)

    @property
    def samples_on_device(self) -> bool:
        return self.model[0]._supports_on_device_sampling

    # Prefill

    def _request(
        self, tokens: Any, table: Any, kv_cache: Any, prompt_lens: Any, empty_slots: Any, sampling: Any, start_pos: Any
    ) -> PrefillRequest:
        self.mode = "prefill"
        assert isinstance(table, np.ndarray), "page_table must be a tensor"
        pool = self.checked_pool(kv_cache)
        ends = [int(end) for end in prompt_lens]
        starts = [0] * len(ends) if start_pos is None else [int(start) for start in start_pos]
        slots = list(range(len(ends))) if empty_slots is None else [int(slot) for slot in empty_slots]
        if not self.is_warming:
            self.account.prefill(tokens, table, ends, starts, slots)
            if sampling is not None:
                self.account.sampling(sampling, len(ends), range(len(ends)))
        # A class that cannot sample gives logits, and says nothing of the parameters that it was given.
        parameters = lane_parameters(sampling) if sampling is not None and self.samples_on_device else None
        if parameters is not None and not self.is_warming:
            counts["prefills sampled on the device"] += 1
        return PrefillRequest(pool, ends, starts, slots, parameters)

    def _sample_single(self, request: PrefillRequest, row: int, logits: np.ndarray) -> int:
        """One row's token. It is drawn in the lane of its last token's place in a tile, so all lanes get the slot's seed."""
        assert request.parameters is not None
        slot = request.slots[row] % self.rows
        parameters = request.parameters.of_row(row)
        self.seed_manager.reset_seed(parameters.seed, [slot])
        self.seed_manager.get_new_values([slot], replicate_seeds=True)
        return int(self.sampler.sample(logits[None], [(request.ends[row] - 1) % LANES], parameters)[0])

    def _sample_batch(self, request: PrefillRequest, parameters: LaneParameters, logits: np.ndarray) -> np.ndarray:
        """The rows' tokens, each drawn in its slot's lane."""
        assert request.parameters is not None
        self.seed_manager.reset_seed(request.parameters.seed, request.slots)
        self.seed_manager.get_new_values(request.slots)
        return self.sampler.sample(logits, request.slots, parameters)

    def _chunk_extent(self, computed: int, padded: int) -> int:
        """How far a pass gets: it stops behind the chunk that has the row's last token."""
        size = min(padded, self.max_prefill_chunk_size)
        return -(-computed // size) * size

    def _count_pass(self, rows: int, length: int, traced: bool) -> None:
        if not self.is_warming:
            counts["prefill passes"] += 1
            counts["padded tokens"] += rows * length
            counts["batched prefills"] += rows > 1
            counts["traced prefill passes"] += traced

    # Warm-up

    def _sweep_prefill(self, kv_cache: Any, enable_trace: bool, can_sample: bool, kinds: int) -> None:
        """One row of zeros of each traced length, through tables of zeros; the first length with all sampling parameters."""
        assert self.pool is not None
        for index, length in enumerate(self.traced_prefill_lengths):
            table = np.zeros((1, -(-length // self.pool.block_size)), np.int32)
            for sampling in _warm_up_parameters(1, can_sample, kinds) if index == 0 else [None]:
                self.prefill_forward_text(
                    tokens=np.zeros((1, length), np.int32), page_table=table, kv_cache=kv_cache, prompt_lens=[length],
                    empty_slots=[0], enable_trace=enable_trace, sampling_params=sampling,
                )  # fmt: skip

    def _sweep_decode(self, kv_cache: Any, enable_trace: bool, rows: int, width: int, can_sample: bool, kinds: int) -> None:
        require(rows == self.rows and width > 0, f"decode warm-up of {rows} rows with tables of {width}")
        for sampling in _warm_up_parameters(rows, can_sample, kinds):
            self.decode_forward(
                tokens=np.zeros((rows, 1), np.int32), start_pos=np.zeros(rows, np.int32),
                page_table=np.zeros((rows, width), np.int32), kv_cache=kv_cache, enable_trace=enable_trace,
                sampling_params=sampling,
            )  # fmt: skip

    # Decode

    def _check_decode(self, tokens: Any, positions: Any, table: Any, remap: Any, sampling: Any, reset_batch: Any) -> None:
        if self.is_warming:
            return
        transition = self.account.decode(tokens, positions, table, remap, sampling is not None)
        if sampling is not None:
            self.account.reset(reset_batch, transition, True)
            self.account.sampling(sampling, self.rows, np.flatnonzero(positions >= 0).tolist())

    def _replay(self, pool: PagedPool, inputs: ResidentInputs, on_device: bool) -> np.ndarray:
        """Runs the decode trace on its resident inputs."""
        logits = self.decode_pass(pool, inputs.tokens, inputs.positions, inputs.table)
        if on_device:
            inputs.positions[inputs.positions >= 0] += 1
        return logits

    def _table_changed(self, table: np.ndarray) -> bool:
        changed = self.previous_table is None or not np.array_equal(self.previous_table, table)
        if changed:
            self.previous_table = table.copy()
        return changed

    def _finish(self, values: np.ndarray, is_tokens: bool, read_from_device: bool) -> Any:
        output = [(self.submit(values, is_tokens), None)]
        return self.process_decode_output_host(self.read_decode_output(output), is_tokens) if read_from_device else output

    def read_decode_output(self, tt_out: list[tuple[DeviceOutput, Any]], async_read: bool = False) -> Any:
        copies = [(self.start_reading(output), log_probs) for output, log_probs in tt_out]
        if async_read:
            return copies, [copy.event for copy, _ in copies]
        for copy, _ in copies:
            copy.event.is_done = True
        return copies

    def process_decode_output_host(self, tt_out: list[tuple[HostOutput, Any]], is_tokens: bool = False) -> tuple[Any, Any]:
        values = self.finish_reading(tt_out[0][0], is_tokens, True)
        values = values if is_tokens else values[:, None]
        return values, np.ones(values.shape, np.float32)


def blocks_of(tokens: int, pool: PagedPool) -> int:
    return -(-tokens // pool.block_size)


def resident_inputs(tokens: np.ndarray, positions: np.ndarray, table: np.ndarray) -> ResidentInputs:
    return ResidentInputs(tokens.reshape(-1).astype(np.int64), positions.astype(np.int64), table.copy())


def _warm_up_parameters(rows: int, can_sample: bool, kinds: int) -> list[Any]:
    """`kinds` of sampling, greedy, and none; without sampling on the device only none."""
    if not can_sample:
        return [None]
    drawn = SimpleNamespace(temperature=[1.0] * rows, top_k=[10] * rows, top_p=[0.9] * rows, seed=None)
    greedy = SimpleNamespace(temperature=[0.0] * rows, top_k=[1] * rows, top_p=[1.0] * rows, seed=None)
    return [drawn] * kinds + [greedy, None]
