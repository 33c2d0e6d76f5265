"""Greedy generation with transformers, step by step, telling how near each choice was."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel


@dataclass
class Greedy:
    token_ids: list[int]
    runner_up_ids: list[int]
    gaps: list[float]  # largest logit minus second largest, a step each
    first_logits: torch.Tensor  # [vocabulary], after the prompt's last token


@torch.inference_mode()
def generate(model: PreTrainedModel, prompt: list[int], steps: int) -> Greedy:
    """Goes on past the end-of-text token. A tie goes to the lowest token id."""
    result = Greedy([], [], [], torch.empty(0))
    inputs, cache = torch.tensor([prompt]), None
    for step in range(steps):
        output = model(input_ids=inputs, past_key_values=cache, use_cache=True)
        logits, cache = output.logits[0, -1], output.past_key_values
        if step == 0:
            result.first_logits = logits.clone()
        token, runner_up, gap = _two_best(logits)
        result.token_ids.append(token)
        result.runner_up_ids.append(runner_up)
        result.gaps.append(gap)
        inputs = torch.tensor([[token]])
    return result


@torch.inference_mode()
def rescore(model: PreTrainedModel, prompt: list[int], generated: list[int]) -> list[tuple[int, int, float]]:
    """The (best, runner-up, gap) of every step again, from one pass over prompt and answer together."""
    tokens = torch.tensor([prompt + generated[:-1]])
    logits = model(input_ids=tokens, use_cache=False, logits_to_keep=len(generated)).logits[0]
    return [_two_best(row) for row in logits]


def _two_best(logits: torch.Tensor) -> tuple[int, int, float]:
    best = int(torch.argmax(logits))
    rest = logits.clone()
    rest[best] = -torch.inf
    runner_up = int(torch.argmax(rest))
    return best, runner_up, float(logits[best] - logits[runner_up])
