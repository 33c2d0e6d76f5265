"""Runs one workload with vLLM's offline LLM and prints its times. Runs in vLLM's environment.

One JSON object from stdin: model (a folder), dtype, eager, max_num_seqs, max_tokens, prompts (arrays of token ids).
One JSON object as the last line of stdout: load_seconds, wall_seconds, lengths (generated tokens of each prompt).
"""

import json
import sys
import time

from vllm import LLM, SamplingParams


def main() -> None:
    task = json.load(sys.stdin)
    prompts = [{"prompt_token_ids": ids} for ids in task["prompts"]]
    greedy = {"temperature": 0, "ignore_eos": True, "detokenize": False}
    start = time.monotonic()
    llm = LLM(
        model=task["model"],
        dtype=task["dtype"],
        enforce_eager=task["eager"],
        max_num_seqs=task["max_num_seqs"],
        max_model_len=512,
        skip_tokenizer_init=True,
        enable_prefix_caching=False,
        disable_log_stats=True,
        kv_cache_memory_bytes=2 << 30,
    )
    # The first step of a kind includes lazy initialisation, which counts as loading.
    llm.generate(prompts[:2], SamplingParams(max_tokens=8, **greedy), use_tqdm=False)
    loaded = time.monotonic()
    answers = llm.generate(prompts, SamplingParams(max_tokens=task["max_tokens"], **greedy), use_tqdm=False)
    finished = time.monotonic()
    result = {
        "load_seconds": loaded - start,
        "wall_seconds": finished - loaded,
        "lengths": [len(answer.outputs[0].token_ids) for answer in answers],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
