"""Writes greedy golden data from transformers on the CPU, float32, weights dequantised from a GGUF file.

    python make_greedy_golden.py MODEL.gguf

Writes smollm2-135m-greedy-f32.json (what the model answers) and prompts-64.jsonl (the same requests as an input
file for `ttbatch run`) beside this script. Takes a few minutes.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

from gguf_tokenizer import load_chat_tokenizer  # noqa: E402
from greedy_file import Request, write_batch, write_golden  # noqa: E402
from prompts import requests  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    tokenizer = load_chat_tokenizer(path)
    notes = {
        "special_tokens_in_text": "parsed, in plain prompts and in rendered chats",
        "bos": "none added (tokenizer.ggml.add_bos_token is false)",
    }
    rendered = [render(tokenizer, *request) for request in requests()]
    write_golden(HERE / "smollm2-135m-greedy-f32.json", path, rendered, notes)
    write_batch(HERE / "prompts-64.jsonl", requests())


def render(tokenizer, identifier: str, kind: str, body: dict) -> Request:
    if "messages" in body:
        text = tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, tokenize=False)
        return Request(identifier, kind, body, text, tokenizer.encode(text, add_special_tokens=False))
    return Request(identifier, kind, body, body["prompt"], tokenizer.encode(body["prompt"]))


if __name__ == "__main__":
    main()
