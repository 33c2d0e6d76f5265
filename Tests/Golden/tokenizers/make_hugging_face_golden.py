"""Writes small tokenizers of Hugging Face `tokenizers` with their ids and texts: hugging-face.json beside this script.

    python make_hugging_face_golden.py

Needs: tokenizers. The README one folder up says what the fields mean. The same version gives the same bytes.
"""

import json
import random
from pathlib import Path

from small_tokenizers import contents, is_told_apart, random_text, short_texts, tokenizers
from texts import SEED

HERE = Path(__file__).resolve().parent
TEXTS, RANDOM_TEXTS, DECODINGS = 20, 40, 25


def compact(state: dict) -> str:
    """The file, with merges in their old form for every other tokenizer."""
    return json.dumps(state, separators=(",", ":"), ensure_ascii=False)


def main() -> None:
    result = {}
    for number, (name, tokenizer) in enumerate(tokenizers().items()):
        rng = random.Random(f"{SEED} {name}")
        state = json.loads(tokenizer.to_str())
        merges = state["model"].get("merges")
        if number % 2 and merges and not any(" " in part for merge in merges for part in merge):
            state["model"]["merges"] = [" ".join(merge) for merge in merges]
        texts = ["", " ", *short_texts(rng, TEXTS), *(random_text(rng, contents(tokenizer)) for _ in range(RANDOM_TEXTS))]
        encodings = []
        for text in texts:
            tokenizer.encode_special_tokens = True
            row = [text, tokenizer.encode(text, add_special_tokens=False).ids]
            tokenizer.encode_special_tokens = False
            parsed = tokenizer.encode(text, add_special_tokens=False).ids
            framed = tokenizer.encode(text).ids
            encodings.append(row + ([] if parsed == row[1] == framed else [parsed] if framed == parsed else [parsed, framed]))
        size = tokenizer.get_vocab_size()
        decodings = []
        while len(decodings) < DECODINGS:
            ids = rng.choice(encodings)[1] if rng.random() < 0.4 else [rng.randrange(size) for _ in range(rng.randint(0, 9))]
            # An empty list is a failure of `BPEDecoder` there.
            if ids and not is_told_apart(tokenizer, ids):
                decodings.append([ids, tokenizer.decode(ids)])
        result[name] = {"tokenizer": compact(state), "encodings": encodings, "decodings": decodings}
    path = HERE / "hugging-face.json"
    path.write_text(json.dumps(result, separators=(",", ":"), ensure_ascii=True) + "\n")
    print(len(result), "tokenizers,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
