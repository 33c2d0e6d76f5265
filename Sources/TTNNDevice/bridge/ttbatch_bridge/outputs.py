"""A step's output: tokens or logits of the rows."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ttbatch_bridge.model import LoadedModel

_HEAD = struct.Struct("<IIQ")
LOGITS, TOKENS = 0, 1


@dataclass
class Output:
    """The content of a reply's payload."""

    kind: int
    values: np.ndarray
    model_ns: int

    def buffers(self) -> list[Any]:
        return [_HEAD.pack(len(self.values), self.kind, self.model_ns), self.values]


def output_of(
    output: Any, rows: int, loaded: LoadedModel, *, on_device: bool, model_ns: int, wanted: np.ndarray | None = None
) -> Output:
    """The model's output for the last position of `rows` rows, with its shape checked; of logits, only `wanted` rows.

    Raises ValueError if the model returned something else.
    """
    # With logprobs or M-RoPE it is a pair, whose first element is the output.
    if isinstance(output, tuple):
        output = output[0]
    if on_device:
        tokens = loaded.tensors.array(output, np.int32)
        if tokens.shape not in ((rows,), (rows, 1)):
            raise ValueError(f"the model gave tokens of shape {tokens.shape} for {rows} rows")
        return Output(TOKENS, tokens.reshape(rows), model_ns)
    logits = loaded.tensors.array(output, np.float32)
    if logits.ndim != 3 or logits.shape[0] != rows or logits.shape[2] < loaded.vocabulary:
        raise ValueError(f"the model gave logits of shape {logits.shape} for {rows} rows of {loaded.vocabulary} tokens")
    # The device may pad the vocabulary; the padding is dropped.
    last = logits[:, -1, : loaded.vocabulary]
    return Output(LOGITS, np.ascontiguousarray(last if wanted is None else last[wanted]), model_ns)
