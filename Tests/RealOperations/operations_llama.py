"""TT model classes of both decode contracts whose every step is real ttnn operations, for a mock mesh.

`OperationsLlama` takes explicit commands with each decode (version 1), `LegacyOperationsLlama` `reset_batch`. Weights come from
the GGUF file that CONTRACT_GGUF names, else from the one that the configuration names.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import ttnn

import ttnn_values  # noqa: F401  # gives the mock its numbers
from decode_batch import BEST, DRAWN, LOGITS, DecodeBatch
from device_choice import MAX_TOP_K, DeviceChoice
from llama_graph import LlamaGraph
from llama_weights import TILE, DecoderWeights
from prefill_rows import PrefillRows, padded_length


class _Operations:
    """What both have in common."""

    model_capabilities = {
        "supports_sample_on_device": True,
        "max_device_top_k": MAX_TOP_K,
        "supports_async_decode": True,
        "supports_prefix_caching": True,
        # Of whole blocks too, where these are larger.
        "resumed_prefill_token_alignment": TILE,
    }
    # Whether a prefill reads more of a row's tokens than the ones that are not cached.
    begins_early = False

    @classmethod
    def initialize_vllm_model(
        cls, hf_config: Any, mesh_device: Any, max_batch_size: int, max_seq_len: int, tt_data_parallel: int = 1,
        optimizations: str | None = None,
    ) -> _Operations:  # fmt: skip
        if max_batch_size not in (1, 2, 4, 8, 16, 32):
            raise ValueError(f"Batch size {max_batch_size} not supported")
        if tt_data_parallel != 1:
            raise ValueError("these operations run on one chip")
        if optimizations not in (None, "performance", "accuracy"):
            raise AssertionError(f"Invalid optimizations configuration `{optimizations}`")
        path = os.environ.get("CONTRACT_GGUF") or hf_config._name_or_path
        return cls(path, mesh_device, max_batch_size, max_seq_len, optimizations)

    @classmethod
    def get_max_tokens_all_users(cls, max_model_len: int, max_num_seqs: int, **kwargs: Any) -> int:
        """Enough for every row's longest: values are kept in the host's memory here."""
        return max_model_len * max_num_seqs

    def __init__(self, path: str, mesh_device: Any, rows: int, longest: int, optimizations: str | None) -> None:
        self.mesh_device, self.rows, self.longest = mesh_device, rows, longest
        self.cache_dtype = ttnn.bfloat16 if optimizations == "accuracy" else ttnn.bfloat8_b
        # Behind cached tokens a padded prefill can reach beyond the longest.
        weights = DecoderWeights(path, mesh_device, self.cache_dtype, longest + padded_length(longest))
        self.graph = LlamaGraph(weights, rows)
        self.choice = DeviceChoice(mesh_device, weights.vocabulary)
        self.already_warmed_up_prefill = False
        self.decode: DecodeBatch | None = None
        self.prefill: PrefillRows | None = None

    def __del__(self) -> None:
        # Before the mesh closes.
        for part in (getattr(self, "decode", None), getattr(self, "prefill", None)):
            if part is not None:
                part.release()

    def allocate_kv_cache(self, shape: tuple[int, ...], dtype: Any, num_layers: int) -> Any:
        cache = self.graph.cache(tuple(shape), self.cache_dtype, num_layers)
        self.prefill = PrefillRows(self.graph, cache, self.begins_early)
        return cache

    # Warm-up

    def warmup_model_prefill(self, kv_cache: Any, enable_trace: bool, can_sample_on_device: bool, **kwargs: Any) -> None:
        if self.already_warmed_up_prefill:
            return
        self.already_warmed_up_prefill = True
        block = kv_cache[0][0].shape[2]
        for length in sorted({min(length, self.longest) for length in (TILE, 129)}):
            # Its tables name block 0 only, which belongs to no row.
            table = np.zeros((1, -(-self.longest // block)), np.int32)
            self._prefill().run(np.zeros((1, length), np.int32), table, [length], [0], enable_trace)

    def warmup_model_decode(
        self, kv_cache: Any, enable_trace: bool, max_batch_size: int, num_blocks: int, can_sample_on_device: bool,
        read_from_device: bool = True, **kwargs: Any,
    ) -> None:  # fmt: skip
        batch = self._decode(kv_cache, num_blocks)
        for end in (LOGITS, BEST, DRAWN) if can_sample_on_device else (LOGITS,):
            none = np.zeros(self.rows, np.int32)
            batch.inputs.load(none, none, np.zeros((self.rows, num_blocks), np.int32))
            batch.run(end, enable_trace)

    # Steps

    def prefill_forward(
        self, *, tokens: Any, page_table: Any, kv_cache: Any, prompt_lens: Any, start_pos: Any = None, empty_slots: Any = None,
        enable_trace: bool = False, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        """Logits (N, 1, vocabulary) of each row's last token, or tokens (N,). Computes `tokens[start_pos:prompt_lens]`."""
        starts = [0] * len(prompt_lens) if start_pos is None else [int(start) for start in start_pos]
        logits = self._prefill().run(tokens, page_table, [int(end) for end in prompt_lens], starts, enable_trace)
        if sampling_params is None:
            return np.concatenate([row.cpu().to_numpy() for row in logits])[:, 0]
        self._load_sampling(sampling_params, seed=True)
        return self._chosen(logits)

    def read_decode_output(self, tt_out: Any, async_read: bool = False) -> Any:
        host = tt_out.cpu(blocking=not async_read)
        return (host, [ttnn.record_event(self.mesh_device, 0)]) if async_read else host

    def process_decode_output_host(self, tt_out: Any, is_tokens: bool = False) -> Any:
        values = tt_out.to_numpy()
        return values.reshape(-1)[: self.rows].astype(np.int32) if is_tokens else values[0, 0, : self.rows, None]

    def _chosen(self, logits: list[Any]) -> np.ndarray:
        """Tokens of rows of logits, chosen on the device, 32 at a time."""
        rows = ttnn.concat(logits, dim=2) if len(logits) > 1 else logits[0]
        if self.choice.is_greedy:
            tokens = self.choice.best(rows)
        else:
            filled = ttnn.pad(rows, [(0, 0), (0, 0), (0, TILE - len(logits)), (0, 0)], value=0.0)
            tokens = self.choice.choose(ttnn.to_layout(filled, ttnn.TILE_LAYOUT), greedy=False)
        return tokens.cpu().to_numpy().reshape(-1)[: len(logits)].astype(np.int32)

    def _load_sampling(self, params: Any, seed: bool) -> None:
        self.choice.load(params)
        if seed:
            self.choice.seed(params)

    def _step(self, on_device: bool, traced: bool, read_from_device: bool) -> Any:
        assert self.decode is not None
        end = LOGITS if not on_device else BEST if self.choice.is_greedy else DRAWN
        output = self.decode.run(end, traced)
        if not read_from_device:
            return output
        return self.process_decode_output_host(self.read_decode_output(output), is_tokens=on_device)

    def _prefill(self) -> PrefillRows:
        assert self.prefill is not None, "the KV cache is not allocated"
        return self.prefill

    def _decode(self, kv_cache: Any, width: int) -> DecodeBatch:
        if self.decode is None:
            self.decode = DecodeBatch(self.graph, self.choice, kv_cache, width)
        return self.decode


class OperationsLlama(_Operations):
    """Decode input update contract, version 1: the device keeps inputs that are not reloaded."""

    decode_input_update_contract = 1

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, enable_trace: bool, reload_inputs: bool,
        reload_page_table: bool, reload_sampling_params: bool, reset_sampling_state: bool, slot_remap: Any,
        read_from_device: bool = True, sampling_params: Any = None,
    ) -> Any:  # fmt: skip
        batch = self._decode(kv_cache, page_table.shape[1])
        if reload_inputs:
            batch.inputs.load(tokens, start_pos, page_table)
        elif reload_page_table:
            batch.inputs.load_table(page_table)
        if sampling_params is not None and (reload_sampling_params or reset_sampling_state):
            self._load_sampling(sampling_params, seed=reset_sampling_state)
        return self._step(sampling_params is not None, enable_trace, read_from_device)


class LegacyOperationsLlama(_Operations):
    """The older contract: `reset_batch` where the layout changed; what else makes the host's inputs count, the model finds out.

    A row's cached tokens are read again, so they must be there.
    """

    begins_early = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._last_table: np.ndarray | None = None
        self._was_on_device = False

    def decode_forward(
        self, *, tokens: Any, start_pos: Any, page_table: Any, kv_cache: Any, enable_trace: bool, read_from_device: bool = True,
        sampling_params: Any = None, reset_batch: bool | None = None, slot_remap: Any = None,
    ) -> Any:  # fmt: skip
        on_device = sampling_params is not None
        moved = self._last_table is None or not np.array_equal(self._last_table, page_table)
        batch = self._decode(kv_cache, page_table.shape[1])
        if reset_batch or moved or not on_device or not enable_trace or not self._was_on_device:
            batch.inputs.load(tokens, start_pos, page_table)
        if on_device and (reset_batch or not self._was_on_device):
            self._load_sampling(sampling_params, seed=True)
        # A copy: the caller writes the next step's table into the same memory.
        self._last_table, self._was_on_device = page_table.copy(), on_device
        return self._step(on_device, enable_trace, read_from_device)
