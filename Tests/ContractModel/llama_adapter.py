"""TT model classes of both decode contracts around the numpy llama, strict about all that they are passed.

`V1Llama` takes explicit commands, `LegacyLlama` `reset_batch`, `ScalarLlama` one set of sampling parameters for all rows and
neither of the two. Traces are no-ops. Weights come from the GGUF file that the configuration names.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from contract_watch import ContractWatch
from llama import Llama
from record import counts, require

_models: weakref.WeakSet[Any] = weakref.WeakSet()


def living_models() -> int:
    return len(_models)


class _Adapter:
    """What the three have in common."""

    model_capabilities: dict[str, Any] | None = {
        "supports_sample_on_device": True,
        "max_device_top_k": 32,
        "supports_async_decode": True,
        "supports_prefix_caching": False,
    }

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, tt_data_parallel: int, optimizations: Any
    ) -> _Adapter:
        if max_batch_size not in (1, 2, 4, 8, 16, 32):
            raise ValueError(f"Batch size {max_batch_size} not supported")
        require(mesh_device.is_open, "a model is made on a closed mesh")
        require(optimizations in ("performance", "accuracy"), f"optimizations {optimizations!r}")
        require(tt_data_parallel == 1, f"tt_data_parallel {tt_data_parallel}")
        return cls(hf_config, mesh_device, max_batch_size, max_seq_len)

    def __init__(self, hf_config: Any, mesh_device: Any, rows: int, max_seq_len: int) -> None:
        self.llama = Llama(hf_config._name_or_path)
        require(hf_config.vocab_size == self.llama.vocabulary, "the vocabulary's size")
        self.mesh_device = mesh_device
        self.watch = ContractWatch(rows, max_seq_len)
        self.already_warmed_up_prefill = False
        self.random = np.random.default_rng(0)
        self.pending: Any = None
        # What the device has of the last step: its sampled tokens, and the positions that follow.
        self.tokens = np.zeros(rows, np.int64)
        self.positions = np.full(rows, -1, np.int64)
        self.sampling: Any = None
        _models.add(self)

    def allocate_kv_cache(self, shape: tuple[int, ...], dtype: Any, num_layers: int) -> Any:
        require(dtype == "bfloat16" and num_layers == self.llama.layers, f"a KV cache of {dtype} for {num_layers} layers")
        require(shape[1] == self.llama.kv_heads and shape[3] == self.llama.head_size, f"a KV cache of {shape}")
        self.watch.allocate(shape)
        # What was never written must not look like zeros.
        self.pool = [(np.full(shape, 7, np.float32), np.full(shape, 7, np.float32)) for _ in range(num_layers)]
        return self.pool

    def warmup_model_prefill(self, *, enable_trace: bool, kv_cache: Any, can_sample_on_device: bool) -> None:
        require(kv_cache is self.pool and isinstance(can_sample_on_device, bool), "prefill warm-up without the KV cache")
        require(not self.already_warmed_up_prefill, "prefill is warmed up twice without being told to")
        self.already_warmed_up_prefill = True
        counts[f"prefill warm-ups, trace {enable_trace}"] += 1

    def warmup_model_decode(
        self, *, enable_trace: bool, kv_cache: Any, max_batch_size: int, num_blocks: int, can_sample_on_device: bool
    ) -> None:
        require(kv_cache is self.pool and max_batch_size == self.watch.rows, "decode warm-up of another batch")
        require(num_blocks > 0 and isinstance(can_sample_on_device, bool), "decode warm-up without a page table")
        counts[f"decode warm-ups, trace {enable_trace}"] += 1

    def _prefill(self, tokens: Any, table: Any, kv_cache: Any, ends: Any, starts: Any, slots: Any, sampling: Any) -> Any:
        require(kv_cache is self.pool, "prefill with another KV cache")
        self.watch.prefill(tokens, table, ends, starts, slots)
        logits = np.stack(
            [
                self.llama.prefill(tokens[row, int(starts[row]) : int(end)], int(starts[row]), table[row], self.pool)
                for row, end in enumerate(ends)
            ]
        )
        counts["prefills sampled on the device"] += sampling is not None
        return logits[:, None] if sampling is None else self._sample(logits, sampling, np.arange(len(logits)))

    def _decode(self, tokens: Any, positions: Any, table: Any, reload: bool, sampling: Any) -> Any:
        """Runs the step from the given inputs where `reload`, else from the device's own."""
        if reload:
            self.tokens[:] = tokens[:, 0]
            self.positions[:] = positions
        else:
            require((self.positions == positions).all(), f"positions {positions} where the device is at {self.positions}")
        active = np.flatnonzero(self.positions >= 0)
        logits = np.zeros((len(positions), self.llama.vocabulary), np.float32)
        logits[active] = self.llama.forward(self.tokens[active], self.positions[active], table[active], self.pool)
        self.positions[active] += 1
        self.watch.ran(positions, table, sampling is not None)
        if sampling is None:
            return logits[:, None]
        sampled = self._sample(logits, sampling, active)
        self.tokens[active] = sampled[active]
        return sampled

    def _check_lists(self, sampling: Any, rows: int) -> None:
        for name in ("temperature", "top_k", "top_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty"):
            value = getattr(sampling, name)
            require(isinstance(value, list) and len(value) == rows, f"{name} is {value!r} for {rows} rows")

    def _sample(self, logits: np.ndarray, sampling: Any, active: np.ndarray) -> np.ndarray:
        """Greedy is exact; otherwise the device draws from a stream of its own among the first 32 tokens."""
        sampled = np.zeros(len(logits), np.int32)
        for row in active.tolist():
            temperature, top_k, top_p = (_of_row(getattr(sampling, name), row) for name in ("temperature", "top_k", "top_p"))
            if temperature == 0:
                sampled[row] = int(logits[row].argmax())
                continue
            require(1 <= top_k <= 32, f"top_k {top_k} on a device that has 32")
            best = np.argsort(-logits[row], kind="stable")[:top_k]
            weights = np.exp((logits[row][best] - logits[row][best[0]]) / temperature)
            weights /= weights.sum()
            weights[1:][np.cumsum(weights)[:-1] >= top_p] = 0
            sampled[row] = int(self.random.choice(best, p=weights / weights.sum()))
        return sampled


class _SplitRead(_Adapter):
    """Steps whose output is read by calls of their own."""

    def _submit(self, output: Any, read_from_device: bool) -> Any:
        require(self.pending is None, "a decode step is started before the last one was read")
        if read_from_device:
            return output
        self.pending = output
        return ("on device", output)

    def read_decode_output(self, tt_out: Any, async_read: bool = False) -> Any:
        import ttnn

        require(async_read and tt_out[0] == "on device" and tt_out[1] is self.pending, "another step's output is read")
        self.event = ttnn.Event()
        return ("on host", tt_out[1]), [self.event]

    def process_decode_output_host(self, tt_out: Any, is_tokens: bool) -> Any:
        require(tt_out[0] == "on host" and self.event.is_done, "output is processed before its event")
        require(is_tokens == (tt_out[1].ndim == 1), "tokens are taken for logits")
        self.pending = None
        return tt_out[1]


class V1Llama(_SplitRead):
    """Decode input update contract, version 1."""

    decode_input_update_contract = 1

    def prefill_forward(
        self, *, tokens: Any, page_table: Any, kv_cache: Any, prompt_lens: Any, start_pos: Any, enable_trace: bool,
        empty_slots: Any, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        self.watch.trace("prefill", enable_trace)
        require(prompt_lens.dtype == np.int64 and start_pos.dtype == np.int32, "prompt_lens is int64, start_pos int32")
        if sampling_params is not None:
            self._check_lists(sampling_params, len(prompt_lens))
        return self._prefill(tokens, page_table, kv_cache, prompt_lens, start_pos, empty_slots, sampling_params)

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, read_from_device: bool, enable_trace: bool,
        reload_inputs: bool, reload_page_table: bool, reload_sampling_params: bool, reset_sampling_state: bool,
        slot_remap: Any, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        require(kv_cache is self.pool and slot_remap is not None, "decode without the KV cache or a slot remap")
        self.watch.trace("decode", enable_trace)
        on_device = sampling_params is not None
        transition = self.watch.decode(tokens, start_pos, page_table, slot_remap, on_device)
        changed = self.watch.table_changed(page_table)
        resident = on_device and not transition and enable_trace and self.model_capabilities["supports_async_decode"]
        expected = (not resident, resident and changed, on_device and transition, on_device and transition)
        given = (reload_inputs, reload_page_table, reload_sampling_params, reset_sampling_state)
        require(given == expected, f"a decode step with the commands {given}, not {expected}")
        counts["steps from resident inputs"] += resident
        counts["page tables reloaded alone"] += reload_page_table
        if on_device:
            self._check_lists(sampling_params, self.watch.rows)
            if reload_sampling_params:
                self.sampling = sampling_params
        return self._submit(
            self._decode(tokens, start_pos, page_table, reload_inputs, self.sampling if on_device else None), read_from_device
        )


class LegacyLlama(_SplitRead):
    """The older contract: `reset_batch` where the layout changed, with device sampling only."""

    def prefill_forward(
        self, *, tokens: Any, page_table: Any, kv_cache: Any, prompt_lens: Any, start_pos: Any, enable_trace: bool,
        empty_slots: Any, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        self.watch.trace("prefill", enable_trace)
        if sampling_params is not None:
            self._check_lists(sampling_params, len(prompt_lens))
        return self._prefill(tokens, page_table, kv_cache, prompt_lens, start_pos, empty_slots, sampling_params)

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, read_from_device: bool, enable_trace: bool,
        sampling_params: Any = None, reset_batch: bool | None = None, slot_remap: Any = None,
    ) -> Any:  # fmt: skip
        require(kv_cache is self.pool, "decode without the KV cache")
        require(slot_remap is None or slot_remap.tolist() != list(range(self.watch.rows)), "an identity is sent as a remap")
        self.watch.trace("decode", enable_trace)
        on_device = sampling_params is not None
        transition = self.watch.decode(tokens, start_pos, page_table, slot_remap, on_device)
        require(reset_batch == (transition if on_device else None), f"reset_batch {reset_batch}, transition {transition}")
        if on_device:
            self._check_lists(sampling_params, self.watch.rows)
        reload = not on_device or transition or not enable_trace
        counts["steps from resident inputs"] += not reload
        return self._submit(self._decode(tokens, start_pos, page_table, reload, sampling_params), read_from_device)


class ScalarLlama(_Adapter):
    """The oldest form: numbers instead of lists, prompt lengths as a list, output read inside the step, no slots."""

    model_capabilities = {"supports_sample_on_device": True, "max_device_top_k": 32}

    def prefill_forward(self, *, tokens: Any, page_table: Any, kv_cache: Any, prompt_lens: Any, sampling_params: Any = None) -> Any:
        require(isinstance(prompt_lens, list), "prompt_lens is a list")
        self._check_numbers(sampling_params)
        rows = len(prompt_lens)
        return self._prefill(tokens, page_table, kv_cache, prompt_lens, [0] * rows, range(rows), sampling_params)

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, enable_trace: bool, read_from_device: bool,
        sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        require(read_from_device and kv_cache is self.pool, "the output is not read")
        self._check_numbers(sampling_params)
        self.watch.trace("decode", enable_trace)
        # Nobody tells this model which row is which, so it cannot follow sequences.
        self.watch.page_table(page_table, self.watch.rows)
        counts["steps sampled on the device" if sampling_params is not None else "steps sampled on the host"] += 1
        return self._decode(tokens, start_pos, page_table, True, sampling_params)

    def _check_numbers(self, sampling: Any) -> None:
        if sampling is not None:
            for name in ("temperature", "top_k", "top_p"):
                require(isinstance(getattr(sampling, name), (int, float)), f"{name} is {getattr(sampling, name)!r}")


def _of_row(value: Any, row: int) -> Any:
    return value[row] if isinstance(value, list) else value
