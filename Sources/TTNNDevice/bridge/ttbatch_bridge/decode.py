"""Decode steps in both forms (TT contract §1.4 to §1.6): explicit commands, or the older `reset_batch`."""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np

from ttbatch_bridge.capabilities import takes
from ttbatch_bridge.errors import ProtocolError
from ttbatch_bridge.model import LoadedModel
from ttbatch_bridge.outputs import Output, output_of
from ttbatch_bridge.rules import use_host_inputs
from ttbatch_bridge.sampling import SamplingRows, TTSamplingParams
from ttbatch_bridge.tensors import PayloadReader

_HEAD = struct.Struct("<IIII")
_RELOAD_INPUTS, _RELOAD_PAGE_TABLE, _ON_DEVICE, _RELOAD_SAMPLING, _RESET_SAMPLING = 1, 2, 4, 8, 16


class Decode:
    """Runs decode steps of one model. The tensors of the fixed batch keep their memory from step to step."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        rows, width = loaded.rows, loaded.page_table_width
        self._tokens = np.zeros((rows, 1), np.int32)
        self._positions = np.full(rows, -1, np.int32)
        self._table = np.zeros((rows, width), np.int32)
        self._sampling: TTSamplingParams | None = None
        forward = loaded.model.decode_forward
        self._takes_reset = takes(forward, "reset_batch", recent=loaded.capabilities.is_recent)
        make = loaded.tensors.tensor
        # Rows never change their slots.
        self._no_remap = make(np.arange(rows, dtype=np.int32))
        self._arguments: dict[str, Any] = {
            "tokens": make(self._tokens),
            "start_pos": make(self._positions),
            "page_table": make(self._table),
            "kv_cache": loaded.kv_cache,
            "enable_trace": loaded.traces_decode,
        }
        if takes(forward, "read_from_device", recent=True):
            self._arguments["read_from_device"] = not loaded.capabilities.splits_read

    def run(self, payload: memoryview) -> Output:
        flags = self._take(payload)
        arguments = dict(self._arguments)
        if flags & _ON_DEVICE:
            arguments["sampling_params"] = self._sampling
        if self._loaded.capabilities.decode_contract >= 1:
            arguments["reload_inputs"] = bool(flags & _RELOAD_INPUTS)
            arguments["reload_page_table"] = bool(flags & _RELOAD_PAGE_TABLE)
            arguments["reload_sampling_params"] = bool(flags & _RELOAD_SAMPLING)
            arguments["reset_sampling_state"] = bool(flags & _RESET_SAMPLING)
            arguments["slot_remap"] = self._no_remap
        elif flags & _ON_DEVICE and self._takes_reset:
            arguments["reset_batch"] = bool(flags & _RESET_SAMPLING)
            if arguments["reset_batch"]:
                use_host_inputs(self._loaded.model, self._loaded.rows)
        return self._call(arguments, on_device=bool(flags & _ON_DEVICE))

    def _take(self, payload: memoryview) -> int:
        """Copies the request's arrays into the batch; arrays that it does not send keep their values."""
        reader = PayloadReader(payload)
        rows, width, flags, reserved = _HEAD.unpack(reader.take(_HEAD.size, "u1").tobytes())
        if rows != self._loaded.rows or width != self._loaded.page_table_width or reserved:
            raise ProtocolError(f"a decode step of {rows} rows with page tables of {width}")
        if flags & _RELOAD_INPUTS and flags & _RELOAD_PAGE_TABLE or flags >= 32:
            raise ProtocolError(f"a decode step with the flags {flags}")
        self._tokens[:, 0] = reader.take(rows, "<i4")
        self._positions[:] = reader.take(rows, "<i4")
        if flags & (_RELOAD_INPUTS | _RELOAD_PAGE_TABLE):
            self._table[:] = reader.take(rows * width, "<i4").reshape(rows, width)
        if flags & _ON_DEVICE and flags & _RELOAD_SAMPLING:
            self._sampling = SamplingRows.take(reader, rows).for_model(
                self._loaded.vocabulary, self._loaded.capabilities, self._positions >= 0
            )
        reader.end()
        if flags & _ON_DEVICE and self._sampling is None:
            raise ProtocolError("a decode step samples on the device before it was told how")
        return flags

    def _call(self, arguments: dict[str, Any], on_device: bool) -> Output:
        """Runs the step. Logits are returned for active rows only, since those of the padded batch take megabytes."""
        model, loaded, capabilities = self._loaded.model, self._loaded, self._loaded.capabilities
        active = np.flatnonzero(self._positions >= 0)
        compact = capabilities.splits_read and capabilities.compact_host_logits and not on_device
        began = time.perf_counter_ns()
        output = model.decode_forward(**arguments)
        if capabilities.splits_read:
            output = self._read(output, on_device, active.tolist() if compact else None)
        took = time.perf_counter_ns() - began
        return output_of(
            output,
            len(active) if compact else loaded.rows,
            loaded,
            on_device=on_device,
            model_ns=took,
            wanted=None if on_device or compact else active,
        )

    def _read(self, output: Any, on_device: bool, rows: list[int] | None) -> Any:
        """Starts the copy to the host, waits for its event, and returns the values, of `rows` if given."""
        model = self._loaded.model
        chosen = {} if rows is None else {"sample_rows": rows}
        read = chosen if self._loaded.capabilities.selective_host_readback else {}
        host, events = model.read_decode_output(output, async_read=True, **read)
        if events:
            import ttnn

            for event in events:
                ttnn.event_synchronize(event)
        if hasattr(model, "process_decode_output_host"):
            return model.process_decode_output_host(host, is_tokens=on_device, **chosen)
        return host
