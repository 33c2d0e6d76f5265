"""Prefill calls: converts arrays to the model's arguments and its output to tokens or logits (TT contract §1.3)."""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np

from ttbatch_bridge.capabilities import takes
from ttbatch_bridge.errors import ProtocolError
from ttbatch_bridge.model import LoadedModel
from ttbatch_bridge.outputs import Output, output_of
from ttbatch_bridge.sampling import SamplingRows
from ttbatch_bridge.seeds import SlotSeeds
from ttbatch_bridge.tensors import PayloadReader

_HEAD = struct.Struct("<IIII")


class Prefill:
    """Runs prefill calls of one model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._seeds = SlotSeeds(loaded.model)
        forward = loaded.model.prefill_forward
        recent = loaded.capabilities.is_recent
        self._takes_start = takes(forward, "start_pos", recent=recent)
        self._optional = {name for name in ("enable_trace", "empty_slots") if takes(forward, name, recent=recent)}

    def run(self, payload: memoryview) -> Output:
        loaded = self._loaded
        reader = PayloadReader(payload)
        rows, width, on_device, total = _HEAD.unpack(reader.take(_HEAD.size, "u1").tobytes())
        if not 1 <= rows <= loaded.rows or width != loaded.page_table_width:
            raise ProtocolError(f"a prefill of {rows} rows with page tables of {width}")
        starts = reader.take(rows, "<i4")
        ends = reader.take(rows, "<i4")
        slots = reader.take(rows, "<i4")
        own_slots = reader.take(rows, "<i4")
        table = reader.take(rows * width, "<i4").reshape(rows, width)
        packed = reader.take(total, "<i4")
        sampling = SamplingRows.take(reader, rows) if on_device else None
        reader.end()
        if (starts < 0).any() or (ends <= starts).any() or int(ends.sum()) != total or (ends > loaded.max_seq_len).any():
            raise ProtocolError(f"a prefill from {starts.tolist()} to {ends.tolist()}")
        arguments = self._arguments(packed, starts, ends)
        arguments["page_table"] = loaded.tensors.tensor(table.copy())
        arguments["kv_cache"] = loaded.kv_cache
        if "enable_trace" in self._optional:
            arguments["enable_trace"] = loaded.traces_prefill
        if "empty_slots" in self._optional:
            arguments["empty_slots"] = slots.tolist()
        if sampling is not None:
            everyone = np.ones(rows, bool)
            arguments["sampling_params"] = sampling.for_model(loaded.vocabulary, loaded.capabilities, everyone)
        began = time.perf_counter_ns()
        output = loaded.model.prefill_forward(**arguments)
        took = time.perf_counter_ns() - began
        if sampling is None:
            self._seeds.prefilled(own_slots.tolist())
        return output_of(output, rows, loaded, on_device=sampling is not None, model_ns=took)

    def _arguments(self, packed: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> dict[str, Any]:
        """Whole sequences; the model computes `tokens[start_pos:prompt_lens]`, and sometimes tokens before that."""
        tokens = np.zeros((len(ends), int(ends.max())), np.int32)
        offset = 0
        for row, end in enumerate(ends.tolist()):
            tokens[row, :end] = packed[offset : offset + end]
            offset += end
        arguments: dict[str, Any] = {"tokens": self._loaded.tensors.tensor(tokens)}
        if self._takes_start:
            return arguments | {"prompt_lens": ends.astype(np.int64), "start_pos": starts.copy()}
        if starts.any():
            raise ProtocolError("the model takes no start_pos, and a row has tokens in the cache")
        return arguments | {"prompt_lens": ends.tolist()}
