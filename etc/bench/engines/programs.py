"""Runs the engines' programs: their output is captured, and shown only if they fail."""

import subprocess

from engines.workload import EngineFailure


def run_quietly(command: list, **options) -> str:
    """The output of the program. Raises EngineFailure with its last line if it fails or is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)
    except OSError as error:
        raise EngineFailure(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EngineFailure(f"{command[0]} ended with status {done.returncode}: {last}")
    return done.stdout
