"""Writes tokenizer golden data from Hugging Face `tokenizers`, with the vocabulary and merges of a GGUF file.

    python make_tokenizer_golden.py MODEL.gguf

Writes beside this script one file for each kind of pre-tokeniser (smollm.jsonl and others) and decode.jsonl.
The README one folder up says what the fields mean. The same input gives the same bytes.
"""

import argparse
import base64
import json
import random
import sys
from pathlib import Path

from gguf import GGUFReader
from tokenizers import Tokenizer
from tokenizers.normalizers import NFC
from transformers.convert_slow_tokenizer import bytes_to_unicode

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

from gguf_model import metadata  # noqa: E402
from gguf_tokenizer import CONTROL_TOKEN, load_tokenizer  # noqa: E402
from texts import SEED, all_texts  # noqa: E402

OTHER_KINDS = ["gpt-2", "llama-bpe", "qwen2"]
OTHER_KIND_TEXTS = 300
# What the pre-tokenisers disagree on stands in these kinds of text.
TELLING_KINDS = {
    "contraction", "numeral", "whitespace", "random-ascii", "program", "program-part", "run", "normalisation",
}  # fmt: skip
DECODE_ROWS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    texts = all_texts()
    smollm = load_tokenizer(path, "smollm")
    write("smollm", [encode_row(smollm, kind, text) for kind, text in texts])
    for pre in OTHER_KINDS:
        tokenizer = load_tokenizer(path, pre)
        rows = [encode_row(tokenizer, kind, text) for kind, text in chosen_texts(texts, pre)]
        if pre == "qwen2":
            add_nfc_ids(tokenizer, rows)
        write(pre, rows)
    write("decode", decode_rows(path, texts))


def chosen_texts(texts: list[tuple[str, str]], pre: str) -> list[tuple[str, str]]:
    """Two thirds from the telling kinds, the rest from all; long runs are left to smollm.jsonl."""
    rng = random.Random(f"{SEED} {pre}")
    short = [row for row in texts if len(row[1]) < 200]
    telling = rng.sample([row for row in short if row[0] in TELLING_KINDS], OTHER_KIND_TEXTS * 2 // 3)
    others = rng.sample([row for row in short if row not in telling], OTHER_KIND_TEXTS - len(telling))
    chosen = set(telling + others)
    return [row for row in short if row in chosen]


def encode_row(tokenizer: Tokenizer, kind: str, text: str) -> dict:
    tokenizer.encode_special_tokens = True  # in this library's words: as ordinary text
    row = {"kind": kind, "text": text, "ids": tokenizer.encode(text).ids}
    tokenizer.encode_special_tokens = False
    parsed = tokenizer.encode(text).ids
    if parsed != row["ids"]:
        row["ids_special"] = parsed
    return row


def add_nfc_ids(tokenizer: Tokenizer, rows: list[dict]) -> None:
    """Qwen 2's tokenizer.json composes the text first; `ids_nfc` is given where that changes the result."""
    tokenizer.normalizer = NFC()
    for row in rows:
        composed = encode_row(tokenizer, row["kind"], row["text"])
        if composed["ids"] != row["ids"]:
            row["ids_nfc"] = composed["ids"]


def decode_rows(path: Path, texts: list[tuple[str, str]]) -> list[dict]:
    """Ids and the bytes that they stand for: random ids, and texts cut between two ids of one character."""
    tokenizer = load_tokenizer(path, "smollm")
    pieces = token_bytes(path)
    incomplete = [index for index, piece in enumerate(pieces) if not is_utf8(piece)]
    rng = random.Random(f"{SEED} decode")
    rows = []
    for number in range(DECODE_ROWS):
        if number % 3 == 0:
            ids = [rng.randrange(len(pieces)) for _ in range(rng.randint(1, 12))]
        elif number % 3 == 1:
            ids = [rng.choice([rng.choice(incomplete), rng.randrange(len(pieces))]) for _ in range(rng.randint(1, 12))]
        else:
            ids = tokenizer.encode(rng.choice(texts)[1]).ids
            start = rng.randrange(len(ids)) if ids else 0
            ids = ids[start : start + rng.randint(1, 12)]
        value = b"".join(pieces[index] for index in ids)
        text = tokenizer.decode(ids, skip_special_tokens=False)
        if text != value.decode(errors="replace"):
            raise ValueError(f"tokenizers decodes {ids} otherwise: {text!r}")
        rows.append({"ids": ids, "bytes": base64.b64encode(value).decode(), "text": text})
    return rows


def token_bytes(path: Path) -> list[bytes]:
    reader = GGUFReader(path)
    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}
    tokens = zip(metadata(reader, "tokenizer.ggml.tokens"), metadata(reader, "tokenizer.ggml.token_type"))
    return [
        token.encode() if kind == CONTROL_TOKEN else bytes(byte_of[character] for character in token)
        for token, kind in tokens
    ]


def is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def write(name: str, rows: list[dict]) -> None:
    """ASCII only: no editor, git setting or line splitter can change a text in it."""
    lines = (json.dumps(row, separators=(",", ":"), ensure_ascii=True) for row in rows)
    path = HERE / f"{name}.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
