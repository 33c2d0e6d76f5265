"""Sampling parameters as TT models take them (TT contract §1.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ttbatch_bridge.capabilities import Capabilities
from ttbatch_bridge.errors import ProtocolError
from ttbatch_bridge.seeds import Draws
from ttbatch_bridge.tensors import PayloadReader


@dataclass
class TTSamplingParams:
    """Lists with one element for each row, or numbers if the model takes one set for all rows."""

    temperature: Any
    top_k: Any
    top_p: Any
    presence_penalty: Any = 0.0
    frequency_penalty: Any = 0.0
    repetition_penalty: Any = 1.0
    seed: Any = None
    num_logprobs: Any = -2
    enable_log_probs: Any = False


@dataclass
class SamplingRows:
    """The parameters of a step's rows as received."""

    temperature: np.ndarray
    top_k: np.ndarray
    top_p: np.ndarray
    seed: np.ndarray
    has_seed: np.ndarray = field(repr=False)

    @staticmethod
    def take(reader: PayloadReader, rows: int) -> SamplingRows:
        return SamplingRows(
            temperature=reader.take(rows, "<f4"),
            top_k=reader.take(rows, "<i4"),
            top_p=reader.take(rows, "<f4"),
            seed=reader.take(rows, "<u8"),
            has_seed=reader.take(rows, "u1"),
        )

    def for_model(self, vocabulary: int, capabilities: Capabilities, active: np.ndarray) -> TTSamplingParams:
        """The model's parameters: lists, or numbers if it takes one set, which must be the same for all active rows.

        Greedy is temperature 0 with top_k 1; top_k 0 (all tokens) becomes the vocabulary's size. Seeds are passed only
        to models whose draws depend on nothing but seed and position; devices take 31 bits of a seed.
        """
        top_k = np.where(self.top_k < 1, vocabulary, self.top_k).astype(np.int32)
        if not capabilities.samples_per_row:
            sets = set(zip(*(values[active].tolist() for values in (self.temperature, top_k, self.top_p))))
            if len(sets) != 1:
                raise ProtocolError(f"the model takes one set of sampling parameters, and the rows have {len(sets)}")
            return TTSamplingParams(*sets.pop())
        temperature, top_k, top_p = self.temperature.tolist(), top_k.tolist(), self.top_p.tolist()
        rows = len(temperature)
        seeded = self.has_seed.tolist() if capabilities.draws is Draws.BY_POSITION else [0] * rows
        seeds = [seed & 0x7FFF_FFFF if has else None for seed, has in zip(self.seed.tolist(), seeded)]
        return TTSamplingParams(
            temperature, top_k, top_p, [0.0] * rows, [0.0] * rows, [1.0] * rows, seeds, [-2] * rows, [False] * rows
        )
