"""Greedy golden data as a file: a header, then a row for each prompt; and the same requests as an input file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from gguf_model import load_model
from greedy import generate, rescore

STEPS = 32
BATCH_LINE_SETTINGS = {"max_tokens": STEPS, "temperature": 0, "ignore_eos": True, "return_token_ids": True}


@dataclass
class Request:
    identifier: str
    kind: str
    body: dict  # holds `prompt` or `messages` and nothing else
    text: str  # after the chat template
    token_ids: list[int]


def write_golden(path: Path, model_path: Path, requests: list[Request], notes: dict) -> None:
    """Each step is computed a second time in float64, in one pass over prompt and answer."""
    model = load_model(model_path)
    rows = [_row(model, request) for request in requests]
    header = {
        "engine": f"transformers {transformers.__version__}",
        "torch": torch.__version__,
        "dtype": "float32",
        "model_file": model_path.name,
        "model_sha256": hashlib.sha256(model_path.read_bytes()).hexdigest(),
        "temperature": 0,
        "ignore_eos": True,
        "max_tokens": STEPS,
        **notes,
        "float64_check": _float64_check(model.double(), rows),
    }
    head = json.dumps(header, indent=1)[:-2]
    body = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)  # a changed row shows as that row
    path.write_text(f'{head},\n "rows": [\n{body}\n]}}\n')


def write_batch(path: Path, requests: list[tuple[str, str, dict]]) -> None:
    lines = []
    for identifier, _, body in requests:
        url = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        line = {"custom_id": identifier, "method": "POST", "url": url, "body": body | BATCH_LINE_SETTINGS}
        lines.append(json.dumps(line, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n")


def _row(model, request: Request) -> dict:
    answer = generate(model, request.token_ids, STEPS)
    top = torch.topk(answer.first_logits, 5)
    return {
        "id": request.identifier,
        "kind": request.kind,
        "request": request.body,
        "prompt": request.text,
        "prompt_token_ids": request.token_ids,
        "token_ids": answer.token_ids,
        "gaps": [round(gap, 4) for gap in answer.gaps],
        "runner_up_ids": answer.runner_up_ids,
        "first_top5": [[int(token), round(float(logit), 4)] for token, logit in zip(top.indices, top.values)],
    }


def _float64_check(model, rows: list[dict]) -> dict:
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
