"""Compares ttbatch's tokenizer with Hugging Face `tokenizers` on random texts and random ids.

    python compare_hugging_face.py DRIVER [--texts 100000] [--seed 0] [--file tokenizer.json …] [NAME…]

Needs: tokenizers. DRIVER is the built program `tokenizer-driver` (swift build -c release --product tokenizer-driver).
Without --file the small tokenizers of small_tokenizers.py are compared, or those named; the texts are divided among them.
Prints each difference and exits with 1 if there is one.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from small_tokenizers import contents, is_told_apart, random_text, tokenizers
from tokenizers import Tokenizer

SHOWN = 3


def answers(driver: Path, path: Path, requests: list[dict]) -> list[dict]:
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run([driver, path], input=lines, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{path}: {run.stderr.strip()}")
    return [json.loads(line) for line in run.stdout.split("\n")[:-1]]


def compare(driver: Path, name: str, tokenizer: Tokenizer, path: Path, count: int, seed: int) -> int:
    rng = random.Random(f"{seed} {name}")
    pieces = contents(tokenizer)
    texts = [random_text(rng, pieces) for _ in range(count)]
    ids = [[rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.randint(1, 12))] for _ in range(count // 4)]
    ids = [sequence for sequence in ids if not is_told_apart(tokenizer, sequence)]
    found = answers(driver, path, [{"text": text} for text in texts] + [{"ids": sequence} for sequence in ids])
    tokenizer.encode_special_tokens = True
    expected = [{"ids": encoding.ids} for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    tokenizer.encode_special_tokens = False
    for row, encoding in zip(expected, tokenizer.encode_batch(texts, add_special_tokens=False)):
        row["parsed"] = encoding.ids
    expected += [{"text": text, "pieces": text} for text in tokenizer.decode_batch(ids)]
    different = 0
    for request, ours, theirs in zip(texts + ids, found, expected):
        if any(ours[key] != value for key, value in theirs.items()):
            different += 1
            if different <= SHOWN:
                print(f"  {name}: {request!r}\n    ours   {({k: ours[k] for k in theirs})}\n    theirs {theirs}")
    print(f"{name}: {different} of {len(expected)} differ")
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("driver", type=Path)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, action="append", default=[])
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    different = 0
    if options.file:
        for path in options.file:
            different += compare(
                options.driver, str(path), Tokenizer.from_file(str(path)), path, options.texts, options.seed
            )
    else:
        chosen = {name: value for name, value in tokenizers().items() if not options.names or name in options.names}
        with tempfile.TemporaryDirectory() as folder:
            for name, tokenizer in chosen.items():
                path = Path(folder) / name
                path.mkdir()
                tokenizer.save(str(path / "tokenizer.json"))
                different += compare(options.driver, name, tokenizer, path, options.texts // len(chosen), options.seed)
    print(f"{different} differ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
