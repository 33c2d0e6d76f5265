"""Writes a text's perplexity from transformers on the CPU, float32, weights dequantised from a GGUF file.

    python make_perplexity_golden.py MODEL.gguf

Writes smollm2-135m-perplexity-f32.json beside this script, about etc/bench/perplexity.txt. The text's tokens are cut
into windows of 512, the last one shorter. Nothing comes before a window, no BOS either: every token but the window's
first is scored, given those before it in the window.
"""

import argparse
import hashlib
import json
import math
import sys
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

from gguf_model import load_model  # noqa: E402
from gguf_tokenizer import load_tokenizer  # noqa: E402

TEXT = HERE.parents[2] / "etc" / "bench" / "perplexity.txt"
WINDOW = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    tokens = load_tokenizer(path).encode(TEXT.read_text(), add_special_tokens=False).ids
    model = load_model(path)
    rows = [score(model, tokens[start : start + WINDOW]) for start in range(0, len(tokens), WINDOW)]
    scored = sum(row["scored"] for row in rows)
    nll = sum(row["nll"] for row in rows)
    header = {
        "engine": f"transformers {transformers.__version__}",
        "torch": torch.__version__,
        "dtype": "float32",
        "model_file": path.name,
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "text_file": TEXT.name,
        "text_sha256": hashlib.sha256(TEXT.read_bytes()).hexdigest(),
        "window": WINDOW,
        "tokens": len(tokens),
        "scored": scored,
        "nll": round(nll, 3),
        "perplexity": round(math.exp(nll / scored), 5),
    }
    write(HERE / "smollm2-135m-perplexity-f32.json", header, rows)


@torch.inference_mode()
def score(model, window: list[int]) -> dict:
    """`nll`: the sum of the scored tokens' negative log probabilities, in nats; `best`: how many were the likeliest."""
    logits = model(input_ids=torch.tensor([window]), use_cache=False).logits[0, :-1]
    targets = torch.tensor(window[1:])
    log_probabilities = torch.log_softmax(logits.double(), dim=-1)
    nll = -log_probabilities.gather(1, targets[:, None]).sum()
    best = (logits.argmax(dim=-1) == targets).sum()
    return {"first_token": window[0], "scored": len(targets), "nll": round(float(nll), 4), "best": int(best)}


def write(path: Path, header: dict, rows: list[dict]) -> None:
    """One window a line, so that a change shows as a change of that window."""
    head = json.dumps(header, indent=1)[:-2]
    body = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    path.write_text(f'{head},\n "windows": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
