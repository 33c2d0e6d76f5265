"""The fixed batch of decode steps: inputs that stay on the device, and a trace for each way that a step can end."""

from __future__ import annotations

from typing import Any

import numpy as np
import ttnn

from device_choice import DeviceChoice
from llama_graph import Cache, LlamaGraph
from llama_weights import TILE

# How a step ends.
LOGITS, BEST, DRAWN = "logits", "best", "drawn"


class Inputs:
    """The tensors that a step reads. Tokens and places of angles fill a tile; positions and tables have the batch's rows."""

    def __init__(self, mesh_device: Any, rows: int, width: int) -> None:
        self._mesh_device, self._rows = mesh_device, rows
        self.tokens = self._uploaded(np.zeros((1, 1, 1, TILE), np.uint32), ttnn.uint32)
        self.angles_at = self._uploaded(np.zeros((1, TILE), np.uint32), ttnn.uint32)
        self.positions = self._uploaded(np.full(rows, -1, np.int32), ttnn.int32)
        self.table = self._uploaded(np.zeros((rows, width), np.int32), ttnn.int32)

    def load(self, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray) -> None:
        padded = np.zeros((1, 1, 1, TILE), np.uint32)
        padded[0, 0, 0, : self._rows] = tokens.reshape(-1)
        places = np.zeros((1, TILE), np.uint32)
        places[0, : self._rows] = np.maximum(positions, 0)
        self._copy(padded, ttnn.uint32, self.tokens)
        self._copy(places, ttnn.uint32, self.angles_at)
        self._copy(positions.astype(np.int32), ttnn.int32, self.positions)
        self.load_table(table)

    def load_table(self, table: np.ndarray) -> None:
        self._copy(table.astype(np.int32), ttnn.int32, self.table)

    def _uploaded(self, values: np.ndarray, dtype: Any) -> Any:
        return ttnn.Tensor(values, dtype, device=self._mesh_device, layout=ttnn.ROW_MAJOR_LAYOUT)

    def _copy(self, values: np.ndarray, dtype: Any, tensor: Any) -> None:
        ttnn.copy_host_to_device_tensor(ttnn.Tensor(values, dtype, layout=ttnn.ROW_MAJOR_LAYOUT), tensor)


class DecodeBatch:
    """Steps over one set of inputs, so that what a step leaves there is the next one's."""

    def __init__(self, graph: LlamaGraph, choice: DeviceChoice, cache: Cache, width: int) -> None:
        self.graph, self.choice, self.cache = graph, choice, cache
        self.inputs = Inputs(graph.mesh_device, graph.rows, width)
        # Rows that are all empty: a step of theirs compiles everything and changes nothing.
        self._nobody = Inputs(graph.mesh_device, graph.rows, width)
        self._traces: dict[str, tuple[int, Any]] = {}

    def run(self, end: str, traced: bool) -> Any:
        """A step: logits (1, 1, 32, vocabulary) in rows, or the tokens, which are the next step's inputs too."""
        if not traced:
            return self._step(self.inputs, end)
        if end not in self._traces:
            self._step(self._nobody, end)
            trace = ttnn.begin_trace_capture(self.graph.mesh_device, cq_id=0)
            output = self._step(self.inputs, end)
            ttnn.end_trace_capture(self.graph.mesh_device, trace, cq_id=0)
            self._traces[end] = (trace, output)
        trace, output = self._traces[end]
        ttnn.execute_trace(self.graph.mesh_device, trace, cq_id=0, blocking=False)
        return output

    def release(self) -> None:
        for trace, _ in self._traces.values():
            ttnn.release_trace(self.graph.mesh_device, trace)
        self._traces.clear()

    def _step(self, inputs: Inputs, end: str) -> Any:
        logits = self.graph.decode(inputs.tokens, inputs.positions, inputs.angles_at, inputs.table, self.cache)
        if end == LOGITS:
            return ttnn.untilize(logits, use_multicore=True)
        self.graph.advance(inputs.positions, inputs.angles_at)
        return self.choice.choose(logits, end == BEST, into=inputs.tokens)
