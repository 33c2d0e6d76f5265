"""Writes greedy golden data from transformers on the CPU, float32, weights dequantised from a GGUF file.

    python make_greedy_golden.py MODEL.gguf

Writes smollm2-135m-greedy-f32.json (what the model answers) and prompts-64.jsonl (the same requests as an input
file for `ttbatch run`) beside this script. Every step is computed a second time in float64, in one pass over
prompt and answer, and the differences are noted in the header of the JSON file. Takes a few minutes.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

from gguf_model import load_model  # noqa: E402
from gguf_tokenizer import load_chat_tokenizer  # noqa: E402
from greedy import generate, rescore  # noqa: E402
from prompts import requests  # noqa: E402

STEPS = 32
BATCH_LINE_SETTINGS = {"max_tokens": STEPS, "temperature": 0, "ignore_eos": True, "return_token_ids": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    tokenizer = load_chat_tokenizer(path)
    model = load_model(path)
    rows = [golden_row(model, tokenizer, *request) for request in requests()]
    check = float64_check(load_model(path, torch.float64), rows)
    header = {
        "engine": f"transformers {transformers.__version__}",
        "torch": torch.__version__,
        "dtype": "float32",
        "model_file": path.name,
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "temperature": 0,
        "ignore_eos": True,
        "max_tokens": STEPS,
        "special_tokens_in_text": "parsed, in plain prompts and in rendered chats",
        "bos": "none added (tokenizer.ggml.add_bos_token is false)",
        "float64_check": check,
    }
    write_golden(HERE / "smollm2-135m-greedy-f32.json", header, rows)
    write_batch(HERE / "prompts-64.jsonl")


def golden_row(model, tokenizer, identifier: str, kind: str, body: dict) -> dict:
    if "messages" in body:
        text = tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, tokenize=False)
        prompt = tokenizer.encode(text, add_special_tokens=False)
    else:
        text = body["prompt"]
        prompt = tokenizer.encode(text)
    answer = generate(model, prompt, STEPS)
    top = torch.topk(answer.first_logits, 5)
    return {
        "id": identifier,
        "kind": kind,
        "request": body,
        "prompt": text,
        "prompt_token_ids": prompt,
        "token_ids": answer.token_ids,
        "gaps": [round(gap, 4) for gap in answer.gaps],
        "runner_up_ids": answer.runner_up_ids,
        "first_top5": [[int(token), round(float(logit), 4)] for token, logit in zip(top.indices, top.values)],
    }


def float64_check(model, rows: list[dict]) -> dict:
    """How far the float32 choices are from float64 ones, given the same text so far."""
    differences, disagreements = [], []
    for row in rows:
        steps = rescore(model, row["prompt_token_ids"], row["token_ids"])
        for step, (best, _, gap) in enumerate(steps):
            if best != row["token_ids"][step]:
                disagreements.append([row["id"], step])
            differences.append(abs(gap - row["gaps"][step]))
    return {
        "steps": len(differences),
        "other_best_token": disagreements,
        "largest_gap_difference": round(max(differences), 4),
    }


def write_golden(path: Path, header: dict, rows: list[dict]) -> None:
    """One row a line, so that a change shows as a change of that row."""
    head = json.dumps(header, indent=1)[:-2]
    body = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    path.write_text(f'{head},\n "rows": [\n{body}\n]}}\n')


def write_batch(path: Path) -> None:
    lines = []
    for identifier, _, body in requests():
        url = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        line = {"custom_id": identifier, "method": "POST", "url": url, "body": body | BATCH_LINE_SETTINGS}
        lines.append(json.dumps(line, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
