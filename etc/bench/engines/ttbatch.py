"""ttbatch: one `ttbatch run` of the workload's file on a new database."""

import json
import os
import tempfile
import time
from pathlib import Path

from engines.programs import run_quietly
from engines.workload import MAX_SEQUENCES, EngineFailure, Measurement, Mode, Workload, named_format

PROGRAM = Path(__file__).resolve().parents[3] / ".build" / "release" / "ttbatch"


def modes(model: Path) -> list[Mode]:
    """The unchanged model file, with the default settings."""
    if not PROGRAM.exists():
        raise EngineFailure("not built: swift build -c release --product ttbatch")
    return [Mode(named_format(model), lambda: None, lambda workload: _measure(model, workload))]


def _measure(model: Path, workload: Workload) -> Measurement:
    """`wall_seconds` is from the first claim of a job to the end of the last one, according to the database.

    The rest of the process's time (start, check of the file, load of the model, results) is the load.
    """
    with tempfile.TemporaryDirectory(prefix="ttbatch-bench-") as directory:
        settings = _settings(TTBATCH_DB=f"{directory}/ttbatch.db", TTBATCH_MODEL=str(model))
        slots = f"engine.max_num_seqs={MAX_SEQUENCES}"
        output = Path(directory, "results.jsonl")
        start = time.monotonic()
        run_quietly([PROGRAM, "run", workload.file, "-o", output, "--set", slots], env=settings)
        process_seconds = time.monotonic() - start
        workload.check(_answer_lengths(output))
        batch = json.loads(run_quietly([PROGRAM, "show", "batch_1", "--json"], env=settings))
    own = batch["ttbatch"]
    wall = (own["finished_ms"] - own["started_ms"]) / 1000
    tokens = batch["usage"]["output_tokens"]
    note = f"{MAX_SEQUENCES} slots; whole process {process_seconds:.1f} s"
    return Measurement("ttbatch", named_format(model), process_seconds - wall, wall, tokens, note)


def int8_peak_gops() -> float:
    """The limit of the machine's 8-bit products in 10⁹ operations per second, as measured by ttbatch."""
    limits = json.loads(run_quietly([PROGRAM, "bench", "--limits", "--json"], env=_settings()))
    return max(row["int8_operations_per_second"] for row in limits["limits"]) / 1e9


def steps(model: Path, batch_sizes: list[int]) -> dict:
    """What `ttbatch bench` finds of a model's steps."""
    sizes = ",".join(map(str, batch_sizes))
    command = [PROGRAM, "bench", "--json", "--batch-sizes", sizes, "--lengths", "64", "--contexts", "64", "--rounds", "5"]
    return json.loads(run_quietly(command, env=_settings(TTBATCH_MODEL=str(model))))


def _settings(**own: str) -> dict[str, str]:
    """The environment without the user's settings of ttbatch."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TTBATCH_")} | own


def _answer_lengths(output: Path) -> dict[str, int]:
    """Generated tokens by prompt name; 0 for one that failed."""
    lengths = {}
    for line in output.read_text().splitlines():
        answer = json.loads(line)
        choices = answer["response"]["body"].get("choices") if answer["response"] else None
        lengths[answer["custom_id"]] = len(choices[0]["token_ids"]) if choices else 0
    return lengths
