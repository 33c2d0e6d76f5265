"""The input of every engine and its results: prompts, modes, and a measurement of each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MAX_SEQUENCES = 32
"""How many sequences an engine generates at a time."""
FIXED_SETTINGS = {"temperature": 0, "ignore_eos": True, "return_token_ids": True}
"""The fields of a request for which all engines do the same work and return their token ids."""


@dataclass(frozen=True)
class Prompt:
    name: str
    token_ids: list[int]


@dataclass(frozen=True)
class Workload:
    """Prompts of token ids, each to be continued greedily by the same number of tokens, past the end-of-text token."""

    file: Path
    prompts: list[Prompt]
    max_tokens: int

    @property
    def prompt_tokens(self) -> int:
        return sum(len(prompt.token_ids) for prompt in self.prompts)

    @property
    def generated_tokens(self) -> int:
        return len(self.prompts) * self.max_tokens

    def check(self, answers: dict[str, int]) -> None:
        """Raises EngineFailure unless `answers`, generated tokens by prompt name, has every prompt at full length."""
        for prompt in self.prompts:
            if answers.get(prompt.name) != self.max_tokens:
                found = answers.get(prompt.name, "no")
                raise EngineFailure(f"prompt {prompt.name} has {found} generated tokens instead of {self.max_tokens}")
        if len(answers) != len(self.prompts):
            raise EngineFailure(f"{len(answers)} answers to {len(self.prompts)} prompts")


@dataclass(frozen=True)
class Measurement:
    """One engine on one weight format. `wall_seconds`: first request sent to last one finished."""

    engine: str
    format: str
    load_seconds: float
    wall_seconds: float
    generated_tokens: int
    note: str

    @property
    def tokens_per_second(self) -> float:
        return self.generated_tokens / self.wall_seconds


@dataclass(frozen=True)
class Mode:
    """A way to run an engine: `prepare` makes the files that it needs, `measure` starts it, runs it and ends it."""

    format: str
    prepare: Callable[[], None]
    measure: Callable[[Workload], Measurement]


class EngineFailure(Exception):
    """Why an engine could not be measured, with a message for the table."""


def read_workload(file: Path) -> Workload:
    """Reads OpenAI batch lines for /v1/completions whose bodies differ only in the prompt."""
    prompts, settings = [], []
    for line in file.read_text().splitlines():
        request = json.loads(line)
        body = dict(request["body"])
        prompts.append(Prompt(request["custom_id"], body.pop("prompt", None)))
        settings.append(body)
    alike = {"max_tokens": settings[0].get("max_tokens") if settings else None} | FIXED_SETTINGS
    if any(body != alike for body in settings) or not alike["max_tokens"]:
        raise SystemExit(f"{file}: every line must have the same max_tokens, {json.dumps(FIXED_SETTINGS)} and a prompt")
    if not all(isinstance(prompt.token_ids, list) for prompt in prompts):
        raise SystemExit(f"{file}: every prompt must be an array of token ids")
    return Workload(file, prompts, alike["max_tokens"])


def named_format(model: Path) -> str:
    """The weight format at the end of a model file's name: Q4_1 of SmolLM2-135M-Instruct.Q4_1.gguf."""
    return model.stem.rsplit(".", 1)[-1]
