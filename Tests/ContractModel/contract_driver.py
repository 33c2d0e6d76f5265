"""Drives a contract model directly, as an engine would, for check_contract_models.py."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Callable

import numpy as np

HERE = Path(__file__).resolve().parent
TINY = HERE.parent / "Golden" / "tiny" / "tiny-f32.gguf"
ID = "meta-llama/Llama-3.2-1B-Instruct"


def stand_in_for_vllm() -> None:
    """The names of vllm that tt-metal's module imports."""
    names = {
        "vllm.model_executor.models.gemma3_mm": "Gemma3DummyInputsBuilder Gemma3MultiModalProcessor Gemma3ProcessingInfo",
        "vllm.model_executor.models.interfaces": "SupportsMultiModal",
        "vllm.model_executor.models.mistral3": "Mistral3DummyInputsBuilder Mistral3MultiModalProcessor Mistral3ProcessingInfo",
        "vllm.multimodal.inputs": "MultiModalDataDict",
        "vllm.multimodal.processing": "BaseDummyInputsBuilder",
    }
    for name in ("vllm", "vllm.model_executor", "vllm.model_executor.models", "vllm.multimodal", *names):
        module = sys.modules.setdefault(name, ModuleType(name))
        for attribute in names.get(name, "").split():
            setattr(module, attribute, type(attribute, (), {}))
    registry = SimpleNamespace(register_processor=lambda *_, **__: lambda decorated: decorated)
    sys.modules["vllm.multimodal"].MULTIMODAL_REGISTRY = registry  # type: ignore[attr-defined]


def open_mesh() -> Any:
    import ttnn

    os.environ["TT_METAL_MOCK_CLUSTER_DESC_PATH"] = str(HERE.parent / "MockMesh" / "wh_n150.yaml")
    return ttnn.open_mesh_device(mesh_shape=ttnn.MeshShape(1, 1), dispatch_core_config=ttnn.DispatchCoreConfig())


def configuration(name: str = ID) -> SimpleNamespace:
    return SimpleNamespace(_name_or_path=name, vocab_size=288)


class Row:
    """A sequence in a slot: its tokens and its blocks."""

    def __init__(self, slot: int, prompt: list[int], blocks: list[int]) -> None:
        self.slot, self.tokens, self.blocks, self.prompt = slot, list(prompt), blocks, len(prompt)
        self.start = 0

    @property
    def generated(self) -> list[int]:
        return self.tokens[self.prompt :]


class Driver:
    """A model with its pool. Calls are right unless an argument says otherwise."""

    def __init__(self, model_class: Any, mesh: Any, *, block_size: int = 32, enforces: bool = True) -> None:
        self.rows, self.width = 4, 512 // block_size
        self.model = model_class.initialize_vllm_model(configuration(), mesh, self.rows, max_seq_len=512)
        self.model.account.enforces = enforces
        llama = self.model.llama
        shape = (4 * self.width + 1, llama.kv_heads, block_size, llama.head_size)
        self.kv_cache = self.model.allocate_kv_cache(shape, "bfloat16", llama.layers)
        self.is_explicit = hasattr(self.model, "decode_input_update_contract")
        # Else tt-metal's first prefill does it.
        self.model.already_warmed_up_prefill = True
        self.previous: tuple[Any, ...] | None = None

    def warm_up(self, sample_prefill: bool) -> None:
        """Both phases, as ttbatch has them."""
        for trace in (False, True):
            self.model.already_warmed_up_prefill = False
            for method, sizes in (
                (self.model.warmup_model_prefill, {}),
                (self.model.warmup_model_decode, {"max_batch_size": self.rows, "num_blocks": self.width}),
            ):
                samples = bool(sample_prefill or sizes)
                flag = {"non_greedy_decoding_on_device": samples}
                known = {name: value for name, value in flag.items() if name in inspect.signature(method).parameters}
                method(kv_cache=self.kv_cache, enable_trace=trace, can_sample_on_device=samples, **sizes, **known)

    @staticmethod
    def sampling(rows: int, temperature: float = 0.0, seed: Any = None, top_k: int = 20) -> SimpleNamespace:
        zeros, seeds = [0.0] * rows, seed if isinstance(seed, list) else [seed] * rows
        return SimpleNamespace(
            temperature=[temperature] * rows, top_k=[top_k] * rows, top_p=[1.0] * rows, seed=seeds, presence_penalty=zeros,
            frequency_penalty=zeros, repetition_penalty=[1.0] * rows,
        )  # fmt: skip

    def table(self, blocks: list[int]) -> np.ndarray:
        table = np.zeros(self.width, np.int32)
        table[: len(blocks)] = blocks
        return table

    def prefill(
        self, rows: list[Row], *, starts: Any = None, slots: Any = None, trace: bool = False, params: Any = None, blank: Any = ()
    ) -> np.ndarray:
        """One call for the rows. Those in `blank` get zeros for their cached tokens. Appends greedy tokens, or drawn ones."""
        starts = starts or [0] * len(rows)
        ends = [len(row.tokens) for row in rows]
        tokens = np.zeros((len(rows), max(ends)), np.int32)
        for index, row in enumerate(rows):
            begin = starts[index] if index in blank else 0
            tokens[index, begin : ends[index]] = row.tokens[begin:]
        output = self.model.prefill_forward(
            tokens=tokens, page_table=np.stack([self.table(row.blocks) for row in rows]), kv_cache=self.kv_cache,
            prompt_lens=np.array(ends), start_pos=np.array(starts, np.int32), enable_trace=trace,
            empty_slots=[row.slot for row in rows] if slots is None else slots, sampling_params=params,
        )  # fmt: skip
        chosen = output[0][:, 0] if isinstance(output, tuple) else output[:, 0].argmax(-1)
        for row, token in zip(rows, chosen.tolist()):
            row.tokens.append(token)
        self.previous = None
        return chosen

    def decode(
        self, rows: list[Row], *, trace: bool = False, params: Any = None, remap: Any = None, commands: Any = None,
        stray: Row | None = None, reads: bool = True, claims: bool = False,
    ) -> None:  # fmt: skip
        """One step of the rows; `params` samples on the device, `commands` replaces what the contract asks for.

        With `claims` all slots count as prefilled, so that no class believes its device more than the host.
        """
        tokens, positions = np.zeros((self.rows, 1), np.int32), np.full(self.rows, -1, np.int32)
        table = np.zeros((self.rows, self.width), np.int32)
        for row in rows:
            tokens[row.slot, 0], positions[row.slot] = row.tokens[-1], len(row.tokens) - 1
            table[row.slot] = self.table(row.blocks)
        if stray is not None:
            tokens[stray.slot, 0] = stray.tokens[-1]
        layout = *(row.slot for row in rows), params is not None
        transition = remap is not None or self.previous not in (layout, (*layout[:-1], True))
        self.previous = layout
        arguments: dict[str, Any] = {} if remap is None else {"slot_remap": np.array(remap, np.int32)}
        if self.is_explicit:
            reload = transition or params is None or not trace
            arguments |= {"reload_inputs": reload, "reload_page_table": not reload}
            if params is not None:
                arguments |= {"reload_sampling_params": transition, "reset_sampling_state": transition and reload}
        elif params is not None:
            arguments["reset_batch"] = transition
        arguments |= {"enable_trace": trace, "read_from_device": False, "sampling_params": params} | (commands or {})
        if claims:
            self.model._slots_prefilled_since_decode = set(range(self.rows))
        output = self.model.decode_forward(
            tokens=tokens, start_pos=positions, page_table=table, kv_cache=self.kv_cache, **arguments
        )
        if not reads:
            return
        import ttnn

        host, events = self.model.read_decode_output(output, async_read=True)
        for event in events:
            ttnn.event_synchronize(event)
        values = self.model.process_decode_output_host(host, is_tokens=params is not None)[0]
        chosen = values if params is not None else values[:, 0].argmax(-1)
        for row in rows:
            row.tokens.append(int(chosen[row.slot]))

    def run(self, rows: list[Row], steps: int, **how: Any) -> None:
        for _ in range(steps):
            self.decode(rows, **how)


class Reference:
    """Greedy tokens of the arithmetic alone."""

    def __init__(self) -> None:
        from llama import Llama

        self.llama = Llama(str(TINY))
        shape = (32, self.llama.kv_heads, 32, self.llama.head_size)
        self.pool = [(np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in range(self.llama.layers)]
        self.known: dict[tuple[int, ...], list[int]] = {}

    def tokens(self, prompt: list[int], count: int) -> list[int]:
        known = self.known.get(tuple(prompt), [])
        if len(known) < count:
            table = np.arange(32, dtype=np.int32)
            known = [int(self.llama.prefill(np.array(prompt), 0, table, self.pool).argmax())]
            while len(known) < count:
                place = np.array([len(prompt) + len(known) - 1])
                known.append(int(self.llama.forward(np.array(known[-1:]), place, table[None], self.pool)[0].argmax()))
            self.known[tuple(prompt)] = known
        return known[:count]

    def agrees(self, *rows: Row) -> bool:
        return all(row.generated == self.tokens(row.tokens[: row.prompt], len(row.generated)) for row in rows)


class Rules:
    """What is to be shown, each by a function that says whether it holds."""

    def __init__(self) -> None:
        stand_in_for_vllm()
        os.environ.setdefault("CONTRACT_GGUF", str(TINY))
        self.mesh = open_mesh()
        self.reference = Reference()
        self.all: list[tuple[str, Callable[[], bool]]] = []
        self._random = np.random.default_rng(3)

    def add(self, name: str, holds: Callable[[], bool]) -> None:
        self.all.append((name, holds))

    def prompt(self, length: int) -> list[int]:
        return self._random.integers(3, 288, length).tolist()

    def driver(self, model_class: Any, **how: Any) -> Driver:
        return Driver(model_class, self.mesh, **how)


def raises(kind: type[BaseException], work: Callable[[], Any], words: str = "") -> bool:
    try:
        work()
    except kind as error:
        return words in str(error)
    return False
