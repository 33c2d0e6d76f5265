"""Random weights that compress well and are exact in bfloat16, float16 and float32.

A matrix holds small whole numbers (about 3.4 bits each) times a power of two. Norms and biases lie on a grid of 1/64,
off the values with which they would do nothing.
"""

import math
import re

import torch

LEVELS_A_DEVIATION = 2.5
GREATEST_LEVEL = 15
VECTOR_STEP = 1 / 64
VECTOR_DEVIATION = 0.2
GAINS = [  # of a matrix, where 1 keeps the size of its input
    (r"\.(q_proj|k_proj)\.", 1.5),  # scores that tell tokens apart
    (r"\.qkv_proj\.", 1.25),
]


@torch.no_grad()
def randomize(model, generator: torch.Generator) -> None:
    seen = set()
    for name, parameter in model.named_parameters():
        if parameter.data_ptr() in seen:
            continue
        seen.add(parameter.data_ptr())
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() == 1:
            values = parameter + VECTOR_DEVIATION * noise
            parameter.copy_((values / VECTOR_STEP).round() * VECTOR_STEP)
        else:
            deviation = _gain(name) / math.sqrt(parameter.shape[-1])
            step = 2.0 ** round(math.log2(deviation / LEVELS_A_DEVIATION))
            levels = (noise * deviation / step).round().clamp(-GREATEST_LEVEL, GREATEST_LEVEL)
            parameter.copy_(levels * step)


def _gain(name: str) -> float:
    return next((gain for pattern, gain in GAINS if re.search(pattern, name)), 1.0)
