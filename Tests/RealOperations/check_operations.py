"""Drives both model classes on a mock mesh and holds their numbers against the numpy llama's: python check_operations.py MODEL.gguf

TT_METAL_MOCK_CLUSTER_DESC_PATH names the mesh. Prints each check and the operations that ttnn accepted; exits with 1 where a number
differs.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import ttnn

import operations_llama
import ttnn_values
from llama import Llama  # of ContractModel, which the import before has put on the path

ROWS, LONGEST, BLOCK, BLOCKS = 8, 512, 64, 90
WIDTH = LONGEST // BLOCK
# Logits' standard deviation is about 8.
TOLERANCE = 2e-3
# Some come to the end of a block within the steps that follow.
PROMPTS = (5, 62, 32, 100, 129, 200, 300, 126)


class Check:
    """One model with its own account of sequences and blocks; the numpy llama has a pool of its own under the same tables."""

    def __init__(self, model_class: Any, mesh: Any, path: str, optimizations: str) -> None:
        self.model = model_class.initialize_vllm_model(
            SimpleNamespace(_name_or_path=path), mesh, ROWS, LONGEST, tt_data_parallel=1, optimizations=optimizations
        )
        self.name, self.is_recent = model_class.__name__, hasattr(model_class, "decode_input_update_contract")
        self.llama = Llama(path)
        shape = (BLOCKS, self.llama.kv_heads, BLOCK, self.llama.head_size)
        self.cache = self.model.allocate_kv_cache(shape, "bfloat16", self.llama.layers)
        self.pool = [(np.full(shape, 7, np.float32), np.full(shape, 7, np.float32)) for _ in range(self.llama.layers)]
        self.random = np.random.default_rng(3)
        # Block 0 belongs to no row.
        self.free = itertools.cycle(self.random.permutation(np.arange(1, BLOCKS)).tolist())
        self.failed = False
        self.sequences: list[list[int]] = []
        self.tables = np.zeros((ROWS, WIDTH), np.int32)

    def say(self, what: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
        worst = max(float(np.abs(want - got).max()) for want, got in pairs)
        equal = sum(int(want.argmax() == got.argmax()) for want, got in pairs)
        self.failed |= equal < len(pairs) or not worst < TOLERANCE
        print(f"{self.name}: {what}: {equal} of {len(pairs)} best tokens equal, logits at most {worst:.1e} away", flush=True)

    def text(self, count: int) -> list[int]:
        return self.random.integers(0, self.llama.vocabulary, count).tolist()

    def table(self, length: int, shared: Sequence[int] = ()) -> np.ndarray:
        blocks = [*shared] + [next(self.free) for _ in range(-(-length // BLOCK) - len(shared))]
        return np.array(blocks + [0] * (WIDTH - len(blocks)), np.int32)

    def prefill(self, what: str, rows: list[list[int]], tables: np.ndarray, starts: list[int], trace: bool = False) -> None:
        tokens = np.zeros((len(rows), max(map(len, rows))), np.int32)
        for row, sequence in enumerate(rows):
            tokens[row, : len(sequence)] = sequence
        arguments: dict[str, Any] = dict(
            tokens=tokens, page_table=tables.astype(np.int32), kv_cache=self.cache, prompt_lens=np.array([len(row) for row in rows]),
            start_pos=np.array(starts, np.int32), empty_slots=list(range(len(rows))), enable_trace=trace,
        )  # fmt: skip
        got = self.model.prefill_forward(**arguments)[:, -1]
        wanted = [
            self.llama.prefill(np.array(sequence[start:]), start, tables[row], self.pool)
            for row, (sequence, start) in enumerate(zip(rows, starts))
        ]
        self.say(f"prefill of {what}{', traced' if trace else ''}", list(zip(wanted, got)))
        # The same once more, with tokens chosen on the device.
        chosen = self.model.prefill_forward(**arguments, sampling_params=self.sampling(len(rows), 0.0))
        self.same(f"prefill of {what}, tokens", [int(row.argmax()) for row in wanted], chosen.tolist())

    def same(self, what: str, wanted: list[int], got: list[int]) -> None:
        if wanted != got:
            self.failed = True
            print(f"{self.name}: {what}: {got} where {wanted} is right", flush=True)

    def sampling(self, rows: int, temperature: float) -> Any:
        """Half of the rows are drawn where the temperature is not 0."""
        return SimpleNamespace(
            temperature=[temperature * (row % 2) for row in range(rows)], top_k=[20] * rows, top_p=[0.9] * rows, seed=[None] * rows
        )

    def decode(self, what: str, steps: int, trace: bool, params: Any = None) -> None:
        """Steps of the batch, in which row 2 is empty. On the device, later steps get no inputs but a table that has changed."""
        pairs = []
        drawn = params is not None and any(params.temperature)
        active = [row for row in range(ROWS) if row != 2]
        # Of the same memory in every step, as the bridge has them.
        tokens, positions = np.zeros((ROWS, 1), np.int32), np.full(ROWS, -1, np.int32)
        table = np.zeros((ROWS, WIDTH), np.int32)
        nobodys = self._block_0()
        for step in range(steps):
            moved = self._grow() or step == 0
            for row in active:
                tokens[row], positions[row] = self.sequences[row][-1], len(self.sequences[row]) - 1
                table[row] = self.tables[row]
            wanted = self.llama.forward(tokens[active, 0], positions[active], table[active], self.pool)
            resident = step > 0 and params is not None and trace
            if resident and (self.is_recent or not moved):
                # Whatever the caller says then does not count.
                tokens[active], positions[active] = 9, 9
            output = self._step(tokens, positions, table, trace, params, resident, moved, step == 0)
            for row, logits in zip(active, wanted):
                token = int(logits.argmax()) if params is None else int(output[row])
                self.sequences[row].append(token)
                if params is None:
                    pairs.append((logits, output[row, -1]))
                elif params.temperature[row] == 0:
                    pairs.append((logits, logits if token == logits.argmax() else -logits))
                elif token not in np.argsort(-logits)[:20]:
                    self.same(f"{what}, row {row} draws among the 20 best", [-1], [token])
        self.say(f"decode, {what}{', traced' if trace else ''}{', half of the rows drawn' if drawn else ''}", pairs)
        if not np.array_equal(self._block_0(), nobodys):
            self.failed = True
            print(f"{self.name}: decode, {what}: the empty row has written", flush=True)

    def _step(
        self, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, trace: bool, params: Any, resident: bool, moved: bool,
        first: bool,
    ) -> np.ndarray:  # fmt: skip
        arguments: dict[str, Any] = dict(
            tokens=tokens, start_pos=positions, page_table=table, kv_cache=self.cache, enable_trace=trace, read_from_device=False
        )
        if self.is_recent:
            arguments |= dict(
                reload_inputs=not resident, reload_page_table=resident and moved, reload_sampling_params=first,
                reset_sampling_state=first, slot_remap=np.arange(ROWS, dtype=np.int32),
            )  # fmt: skip
        elif params is not None:
            arguments["reset_batch"] = first
        output = self.model.decode_forward(**arguments, sampling_params=params)
        host, events = self.model.read_decode_output(output, async_read=True)
        for event in events:
            ttnn.event_synchronize(event)
        return self.model.process_decode_output_host(host, is_tokens=params is not None)

    def _grow(self) -> bool:
        """Gives blocks to the tokens that come; true where any row needed one."""
        grew = False
        for row, sequence in enumerate(self.sequences):
            place = (len(sequence) - 1) // BLOCK
            if self.tables[row, place] == 0:
                self.tables[row, place] = next(self.free)
                grew = True
        return grew

    def _block_0(self) -> np.ndarray:
        """Where an empty row's table leads; prefill writes padding there, decode nothing."""
        return np.stack([part.cpu().to_numpy()[0] for layer in self.cache for part in layer])

    def run(self) -> None:
        for trace in (False, True):
            self.model.already_warmed_up_prefill = False
            self.model.warmup_model_prefill(kv_cache=self.cache, enable_trace=trace, can_sample_on_device=True)
            self.model.warmup_model_decode(
                kv_cache=self.cache, enable_trace=trace, max_batch_size=ROWS, num_blocks=WIDTH, can_sample_on_device=True
            )
        for trace in (False, True):
            for what, params in (("host samples", None), ("device samples", 0.0), ("device samples", 0.8)):
                self._fresh(trace)
                self.decode(what, 6, trace, None if params is None else self.sampling(ROWS, params))
        self._cached()

    def _fresh(self, trace: bool) -> None:
        """New sequences in every row, prefilled in groups: one row, rows of one padded length, and rows of different lengths."""
        self.sequences = [self.text(count) for count in PROMPTS]
        self.tables = np.stack([self.table(count) for count in PROMPTS])
        for rows in ([0], [1, 2, 3], [4, 5, 6, 7]):
            prompts = [self.sequences[row] for row in rows]
            what = f"{len(rows)} of {'/'.join(str(len(prompt)) for prompt in prompts)}"
            self.prefill(what, prompts, self.tables[rows], [0] * len(rows), trace)
        for sequence in self.sequences:
            sequence.append(int(self.text(1)[0]))

    def _cached(self) -> None:
        """Rows after cached tokens of another row, whose blocks they share; padding reaches beyond the table."""
        first = self.text(200)
        table = self.table(200)
        self.prefill("1 of 200", [first], table[None], [0])
        shared = table[:3].tolist()
        rows = [first[:192] + self.text(count) for count in (20, 60, 310)]
        tables = np.stack([self.table(len(row), shared) for row in rows])
        self.prefill("1 of 212 behind 192", rows[:1], tables[:1], [192])
        self.prefill("3 behind 192, 128 and 192", rows, tables, [192, 128, 192])
        self.prefill("2, one behind 64", [rows[1], first], np.stack([tables[1], table]), [64, 0], trace=True)


def refuses(mesh: Any) -> bool:
    """Whether what has no numbers is an error that says so, instead of a mock's zeros."""
    x = ttnn.Tensor(np.ones((1, 1, 32, 32), np.float32), ttnn.bfloat16, device=mesh, layout=ttnn.TILE_LAYOUT)
    attempts: dict[str, Callable[[], Any]] = {
        "the output of erfinv": lambda: ttnn.erfinv(x).cpu().to_numpy(),
        "the output of erfinv,": lambda: ttnn.add(ttnn.erfinv(x), x),
        "function of ttnn": lambda: x + x,
        "trace is captured": lambda: x.cpu(),
    }
    said = []
    for reason, attempt in attempts.items():
        trace = ttnn.begin_trace_capture(mesh, cq_id=0) if "trace" in reason else None
        try:
            attempt()
        except (ttnn_values.NoValues, RuntimeError) as error:
            said.append(reason.rstrip(",") in str(error))
        if trace is not None:
            ttnn.end_trace_capture(mesh, trace, cq_id=0)
            ttnn.release_trace(mesh, trace)
    print(f"what has no numbers is refused: {said}")
    return said == [True] * len(attempts)


def main() -> int:
    path = sys.argv[1]
    mesh = ttnn.open_mesh_device(
        mesh_shape=ttnn.MeshShape(1, 1), trace_region_size=50_000_000, dispatch_core_config=ttnn.DispatchCoreConfig()
    )
    began = time.monotonic()
    failed = not refuses(mesh)
    for model_class, optimizations in (
        (operations_llama.OperationsLlama, "accuracy"), (operations_llama.LegacyOperationsLlama, "performance")
    ):  # fmt: skip
        check = Check(model_class, mesh, path, optimizations)
        check.run()
        failed |= check.failed
        del check
        gc.collect()
    ttnn.close_mesh_device(mesh)
    counts = ttnn_values.validated
    print(f"{ttnn.get_arch_name()}: ttnn accepted {sum(counts.values())} operations of {len(counts)} kinds:")
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    print(f"{'FAILED' if failed else 'all equal'}, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
