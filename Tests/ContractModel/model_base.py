"""What all contract models share: loading, the KV cache, the passes of a prefill and of a decode step, reading the output."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, Callable

import numpy as np

from account import Account
from llama import Llama
from paged_pool import GARBAGE, PagedPool
from record import counts, require

_models: weakref.WeakSet[Any] = weakref.WeakSet()
# Models with a `cleanup` that was not called; by number, since the models themselves may be gone.
_uncleaned: set[int] = set()
_made = 0


def living_models() -> int:
    return len(_models)


def uncleaned_models() -> int:
    return len(_uncleaned)


def padded_length(tokens: int) -> int:
    """The padded length of a prefill."""
    return 128 if tokens <= 128 else 1024 if tokens <= 1024 else 1 << (tokens - 1).bit_length()


class DeviceOutput:
    """A step's output on the device, until the next step overwrites it."""

    def __init__(self, values: np.ndarray, is_tokens: bool) -> None:
        self.values, self.is_tokens = values, is_tokens


class HostOutput:
    """A copy on its way to the host, there when its event is done."""

    def __init__(self, output: DeviceOutput, event: Any) -> None:
        self.output, self.event = output, event


class ContractModel:
    """Weights, pool and account. `model_capabilities` and the forms of the calls are the classes' own."""

    # Longer prefills are computed in chunks, of which the last one is that with the row's last token.
    max_prefill_chunk_size = 4096
    traced_prefill_lengths = (128,)
    is_cleaned_by_caller = False

    def __init__(self, hf_config: Any, mesh_device: Any, rows: int, max_seq_len: int) -> None:
        global _made
        path = os.environ.get("CONTRACT_GGUF") or hf_config._name_or_path
        self.llama = Llama(path)
        sizes = getattr(hf_config, "vocab_size", self.llama.vocabulary), self.llama.vocabulary
        require(sizes[0] == sizes[1], f"a vocabulary of {sizes[0]} tokens for weights of {sizes[1]}")
        self.mesh_device = mesh_device
        self.rows, self.max_seq_len = rows, max_seq_len
        self.account = Account(rows, max_seq_len)
        self.pool: PagedPool | None = None
        self.already_warmed_up_prefill = False
        # Steps of a warm-up change the device's state as any others do, and nothing is computed or counted.
        self.is_warming = False
        self._unread: DeviceOutput | None = None
        _models.add(self)
        self._number = _made
        _made += 1
        if self.is_cleaned_by_caller:
            _uncleaned.add(self._number)

    def note_cleaned(self) -> None:
        require(self._number in _uncleaned, "a model is cleaned up twice")
        _uncleaned.discard(self._number)

    def allocate_pool(self, shape: tuple[int, ...], dtype: Any, layers: int) -> Any:
        require(dtype == "bfloat16" and layers == self.llama.layers, f"a KV cache of {dtype} for {layers} layers")
        require(len(shape) == 4 and shape[1] == self.llama.kv_heads and shape[3] == self.llama.head_size, f"a KV cache of {shape}")
        pool = PagedPool(layers, tuple(shape))
        self.account.allocate(pool)
        self.pool = pool
        return pool.kv_cache

    def checked_pool(self, kv_cache: Any) -> PagedPool:
        assert self.pool is not None
        require(kv_cache is self.pool.kv_cache, "a call with another KV cache")
        return self.pool

    # Passes of the device

    def prefill_pass(
        self, pool: PagedPool, tokens: np.ndarray, start: int, table: np.ndarray, *, first: int, extent: int, fills: bool = True
    ) -> np.ndarray:
        """A row's tokens from position `start` on, at the table's places from `first` on. Gives the last one's logits.

        Up to `extent` places get what padding has for keys and values. Where not `fills`, nothing is written at all.
        """
        places = pool.places(table, first, max(extent, len(tokens)))
        if not fills:
            places = np.full_like(places[0], -1), places[1]
        own, padding = (places[0][: len(tokens)], places[1][: len(tokens)]), (places[0][len(tokens) :], places[1][len(tokens) :])
        if self.is_warming:
            pool.spoil(places)
            return np.zeros(self.llama.vocabulary, np.float32)
        pool.note(own, tokens, start, table)
        # The kernel writes in the order of the places: where one is there twice, padding is what stays.
        spoilt, offsets = pool.forget(padding)

        def spoil(keys: np.ndarray, values: np.ndarray) -> None:
            keys[spoilt, :, offsets] = GARBAGE
            values[spoilt, :, offsets] = GARBAGE

        return self.llama.prefill(tokens, start, table, pool.layers, own, spoil)

    def decode_pass(self, pool: PagedPool, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray) -> np.ndarray:
        """One token of each row at its position, where that is not negative. Gives [B, V]."""
        logits = np.zeros((len(positions), self.llama.vocabulary), np.float32)
        # A row that has ended may go on in the device's own inputs, until it would leave the page table.
        active = np.flatnonzero((positions >= 0) & (positions < table.shape[1] * pool.block_size))
        if self.is_warming:
            pool.spoil((table[active, positions[active] // pool.block_size], positions[active] % pool.block_size))
        elif len(active):
            pool.note_step(tokens[active], positions[active], table[active])
            logits[active] = self.llama.forward(tokens[active], positions[active], table[active], pool.layers)
        return logits

    def warm_up(self, work: Callable[[], None], name: str, enable_trace: Any) -> None:
        counts[f"{name} warm-ups, trace {enable_trace}"] += 1
        self.is_warming = True
        try:
            work()
        finally:
            self.is_warming = False

    # Reading

    def submit(self, values: np.ndarray, is_tokens: bool) -> DeviceOutput:
        require(self._unread is None or not self.account.enforces, "a decode step is started before the last one is read")
        self._unread = None if self.is_warming else DeviceOutput(values, is_tokens)
        return self._unread or DeviceOutput(values, is_tokens)

    def start_reading(self, output: DeviceOutput) -> HostOutput:
        import ttnn

        require(output is self._unread or self.is_warming, "another step's output is read")
        self._unread = None
        return HostOutput(DeviceOutput(output.values.copy(), output.is_tokens), ttnn.Event())

    def finish_reading(self, copy: HostOutput, is_tokens: bool, waited: bool) -> np.ndarray:
        require(not waited or copy.event.is_done, "output is processed before its event")
        require(is_tokens == copy.output.is_tokens, "tokens are taken for logits, or logits for tokens")
        return copy.output.values


def check_batch_size(size: int) -> None:
    if size not in (1, 2, 4, 8, 16, 32):
        raise ValueError(f"Batch size {size} not supported")


def gguf_path(hf_config: Any) -> Path:
    return Path(os.environ.get("CONTRACT_GGUF") or hf_config._name_or_path)
