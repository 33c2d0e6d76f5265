"""The oldest form of a TT model class: numbers instead of lists, prompt lengths as a list, output read inside the step, no slots."""

from __future__ import annotations

from typing import Any

import numpy as np

from device_sampling import LANES, DeviceSampler, LaneParameters
from model_base import ContractModel, check_batch_size
from record import counts, require


class ScalarLlama(ContractModel):
    """One set of sampling parameters for all rows. It does not get the rows' identities, so it cannot follow sequences."""

    model_capabilities: dict[str, Any] = {"supports_sample_on_device": True, "max_device_top_k": 32}

    def __init__(self, hf_config: Any, mesh_device: Any, rows: int, max_seq_len: int) -> None:
        super().__init__(hf_config, mesh_device, rows, max_seq_len)
        self.sampler = DeviceSampler()
        # Its generators go on by themselves.
        self.sampler.sample(np.zeros((0, 1)), [], LaneParameters([], [], [], []))
        self.sampler.seeds = [2**32 - 1] * LANES
        self.width = 0

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, tt_data_parallel: int, optimizations: Any
    ) -> ScalarLlama:
        check_batch_size(max_batch_size)
        require(mesh_device.is_open, "a model is made on a closed mesh")
        require(optimizations in (None, "performance", "accuracy"), f"optimizations {optimizations!r}")
        require(tt_data_parallel == 1, f"tt_data_parallel {tt_data_parallel}")
        return cls(hf_config, mesh_device, max_batch_size, max_seq_len)

    def allocate_kv_cache(self, shape: tuple[int, ...], dtype: Any, num_layers: int) -> Any:
        return self.allocate_pool(shape, dtype, num_layers)

    def warmup_model_prefill(self, *, enable_trace: bool, kv_cache: Any, can_sample_on_device: bool) -> None:
        self.checked_pool(kv_cache)
        counts[f"prefill warm-ups, trace {enable_trace}"] += 1

    def warmup_model_decode(
        self, *, enable_trace: bool, kv_cache: Any, max_batch_size: int, num_blocks: int, can_sample_on_device: bool
    ) -> None:
        self.checked_pool(kv_cache)
        require(max_batch_size == self.rows and num_blocks > 0, f"decode warm-up of {max_batch_size} rows")
        counts[f"decode warm-ups, trace {enable_trace}"] += 1

    def prefill_forward(self, *, tokens: Any, page_table: Any, kv_cache: Any, prompt_lens: Any, sampling_params: Any = None) -> Any:
        require(isinstance(prompt_lens, list), "prompt_lens is a list")
        self._check_numbers(sampling_params)
        pool = self.checked_pool(kv_cache)
        self.account.prefill(tokens, page_table, prompt_lens, [0] * len(prompt_lens), range(len(prompt_lens)))
        counts["prefill passes"] += len(prompt_lens)
        logits = np.stack([
            self.prefill_pass(pool, tokens[row, :end], 0, page_table[row], first=0, extent=end)
            for row, end in enumerate(prompt_lens)
        ])  # fmt: skip
        counts["prefills sampled on the device"] += sampling_params is not None
        return logits[:, None] if sampling_params is None else self._sampled(logits, sampling_params)

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, enable_trace: bool, read_from_device: bool,
        sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        require(read_from_device, "the output is not read")
        require(tokens.shape == (self.rows, 1) and start_pos.shape == (self.rows,), f"decode tokens of shape {tokens.shape}")
        self.width = self.width or page_table.shape[1]
        require(page_table.shape == (self.rows, self.width), f"a page table of {page_table.shape}")
        self._check_numbers(sampling_params)
        counts["steps sampled on the device" if sampling_params is not None else "steps sampled on the host"] += 1
        pool = self.checked_pool(kv_cache)
        logits = self.decode_pass(pool, tokens[:, 0].astype(np.int64), start_pos.astype(np.int64), page_table)
        return logits[:, None] if sampling_params is None else self._sampled(logits, sampling_params)

    def _sampled(self, logits: np.ndarray, sampling: Any) -> np.ndarray:
        scale, top_k = (1.0, 1) if sampling.temperature == 0 else (1 / sampling.temperature, sampling.top_k)
        parameters = LaneParameters([scale] * LANES, [top_k] * LANES, [sampling.top_p] * LANES, [None] * LANES)
        return self.sampler.sample(logits, list(range(len(logits))), parameters).astype(np.int32)

    def _check_numbers(self, sampling: Any) -> None:
        if sampling is None:
            return
        for name in ("temperature", "top_k", "top_p"):
            require(isinstance(getattr(sampling, name), (int, float)), f"{name} is {getattr(sampling, name)!r}")
        drawn = sampling.temperature != 0
        require(not drawn or 1 <= sampling.top_k <= 32, f"top_k {sampling.top_k} on a device that has 32")
