"""What transformers answers: logits after three prompts and after each of 64 further given tokens.

Each sequence runs by itself, in float32, with a KV cache, one token a step. The same sequence in one pass without a
cache, and in float64, tells how exact that is.
"""

from dataclasses import dataclass

import numpy as np
import torch

PROMPT_LENGTHS = [40, 23, 7]
STEPS = 64
COLUMNS = 24  # logits kept of every step
WHOLE_EVERY = 16  # steps of which all logits are kept


@dataclass
class Golden:
    prompts: list[list[int]]
    given: list[list[int]]  # the tokens that follow each prompt
    columns: list[int]
    logits: np.ndarray  # [prompts, 1 + STEPS, vocabulary], after the prompt and after each given token
    checks: dict

    def floats(self) -> np.ndarray:
        """For each prompt: of every step the columns and the largest |logit|; then all logits of every 16th step."""
        parts = []
        for steps in self.logits:
            parts.append(np.concatenate([steps[:, self.columns], np.abs(steps).max(1, keepdims=True)], axis=1).ravel())
            parts.append(steps[::WHOLE_EVERY].ravel())
        return np.concatenate(parts).astype("<f4")

    def index(self) -> dict:
        return {
            "vocabulary": self.logits.shape[-1],
            "prompts": self.prompts,
            "given": self.given,
            "columns": self.columns,
            "wholeEvery": WHOLE_EVERY,
            "best": self.logits.argmax(-1).tolist(),
            "checks": self.checks,
        }


@torch.inference_mode()
def make_golden(model, vocabulary: int, generator: torch.Generator) -> Golden:
    """`model` computes in float32, and in float64 when this returns."""
    draw = lambda count: torch.randint(0, vocabulary, (count,), generator=generator).tolist()  # noqa: E731
    prompts = [draw(length) for length in PROMPT_LENGTHS]
    given = [draw(STEPS) for _ in prompts]
    columns = sorted(torch.randperm(vocabulary, generator=generator)[:COLUMNS].tolist())
    stepwise = np.stack([_with_cache(model, *pair) for pair in zip(prompts, given)])
    at_once = np.stack([_at_once(model, *pair) for pair in zip(prompts, given)])
    exact = np.stack([_at_once(model.double(), *pair) for pair in zip(prompts, given)])
    largest = np.abs(exact).max()
    deviations = stepwise - stepwise.mean(-1, keepdims=True)
    checks = {
        "largest": float(largest),
        "deviation": float(deviations.std()),
        "withoutCache": float(np.abs(stepwise - at_once).max() / largest),
        "float64": float(np.abs(stepwise - exact).max() / largest),
    }
    return Golden(prompts, given, columns, stepwise, {key: float(f"{value:.3g}") for key, value in checks.items()})


def _with_cache(model, prompt: list[int], given: list[int]) -> np.ndarray:
    output = model(input_ids=torch.tensor([prompt]), use_cache=True)
    rows = [output.logits[0, -1]]
    for position, token in enumerate(given, start=len(prompt)):
        output = model(
            input_ids=torch.tensor([[token]]),
            position_ids=torch.tensor([[position]]),
            cache=output.cache,
            use_cache=True,
        )
        rows.append(output.logits[0, -1])
    return torch.stack(rows).float().numpy()


def _at_once(model, prompt: list[int], given: list[int]) -> np.ndarray:
    logits = model(input_ids=torch.tensor([prompt + given]), use_cache=False).logits[0]
    return logits[len(prompt) - 1 :].double().numpy()
