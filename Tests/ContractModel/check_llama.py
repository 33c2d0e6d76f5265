"""Holds the numpy llama against transformers' greedy tokens: python check_llama.py MODEL.gguf GOLDEN.json [PROMPTS]."""

import json
import sys
import time

import numpy as np
from llama import Llama

llama = Llama(sys.argv[1])
rows = json.load(open(sys.argv[2]))["rows"][: int(sys.argv[3]) if len(sys.argv) > 3 else None]
shape = (64, llama.kv_heads, 16, llama.head_size)
pool = [(np.full(shape, 7, np.float32), np.full(shape, 7, np.float32)) for _ in range(llama.layers)]
table = np.random.default_rng(1).permutation(64).astype(np.int32)[None]
same = 0
began = time.time()
for row in rows:
    sequence = np.array(row["prompt_token_ids"])
    generated = [int(llama.prefill(sequence, 0, table[0], pool).argmax())]
    while len(generated) < len(row["token_ids"]):
        position = np.array([len(sequence) + len(generated) - 1])
        generated.append(int(llama.forward(np.array(generated[-1:]), position, table, pool)[0].argmax()))
    same += generated == row["token_ids"]
    if generated != row["token_ids"]:
        step = next(i for i, (a, b) in enumerate(zip(generated, row["token_ids"])) if a != b)
        print(row["id"], "differs at step", step, "where the gap is", row["gaps"][step])
print(f"{same} of {len(rows)} are the same, {time.time() - began:.1f} s")
