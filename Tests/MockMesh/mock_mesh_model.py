"""A TT model for the real ttnn on a mock cluster: real allocation, uploads, copies and events, and no kernel.

What a mock device gives back is zeros, so every token is 0. It serves the parts of the bridge that only ttnn itself can
prove right: the mesh's life, the KV cache in device memory, tensors up and down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import ttnn


class MockMeshModel:
    """Decode input update contract, version 1."""

    decode_input_update_contract = 1
    model_capabilities = {"supports_sample_on_device": True, "max_device_top_k": 32, "supports_async_decode": True}

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, tt_data_parallel: int, optimizations: Any
    ) -> MockMeshModel:
        return cls(mesh_device, max_batch_size, hf_config.vocab_size)

    def __init__(self, mesh_device: Any, rows: int, vocabulary: int) -> None:
        self.mesh_device = mesh_device
        self.rows = rows
        self.vocabulary = vocabulary

    def allocate_kv_cache(self, shape: tuple[int, ...], dtype: Any, num_layers: int) -> Any:
        return [[self._empty(shape) for _ in ("keys", "values")] for _ in range(num_layers)]

    def prefill_forward(
        self, *, tokens: Any, page_table: Any, kv_cache: Any, prompt_lens: Any, start_pos: Any, empty_slots: Any,
        enable_trace: bool, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        self._upload(tokens, ttnn.uint32)
        self._upload(page_table, ttnn.int32)
        if sampling_params is not None:
            return np.zeros(len(tokens), np.int32)
        return np.zeros((len(tokens), 1, self.vocabulary), np.float32)

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, read_from_device: bool, enable_trace: bool,
        reload_inputs: bool, reload_page_table: bool, reload_sampling_params: bool, reset_sampling_state: bool,
        slot_remap: Any, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        # Tokens as the contract has them on the device: 32 of them, padded with zeros.
        padded = np.zeros((1, 1, 1, 32), np.int32)
        padded[0, 0, 0, : self.rows] = tokens[:, 0]
        output = self._upload(padded, ttnn.uint32)
        if reload_inputs:
            self._upload(start_pos[None], ttnn.int32)
        if reload_inputs or reload_page_table:
            self._upload(page_table, ttnn.int32)
        return output

    def read_decode_output(self, tt_out: Any, async_read: bool) -> Any:
        return tt_out.cpu(blocking=not async_read), [ttnn.record_event(self.mesh_device, 0)]

    def process_decode_output_host(self, tt_out: Any, is_tokens: bool) -> Any:
        return np.zeros(self.rows, np.int32)

    def _upload(self, array: np.ndarray, dtype: Any) -> Any:
        host = np.ascontiguousarray(array).view(np.uint32 if dtype == ttnn.uint32 else np.int32)
        return ttnn.Tensor(host, dtype, device=self.mesh_device, layout=ttnn.ROW_MAJOR_LAYOUT)

    def _empty(self, shape: tuple[int, ...]) -> Any:
        return ttnn.empty(shape, dtype=ttnn.bfloat8_b, layout=ttnn.TILE_LAYOUT, device=self.mesh_device)
