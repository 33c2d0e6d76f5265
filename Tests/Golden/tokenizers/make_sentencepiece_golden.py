"""Trains small SentencePiece models and writes them with their token ids and texts: sentencepiece.json beside this script.

    python make_sentencepiece_golden.py

Needs: sentencepiece, protobuf. The README one folder up says what the fields mean. The same version gives the same bytes.
"""

import io
import json
import random
from pathlib import Path

import sentencepiece
from samples import LANGUAGES, PROGRAMS
from sentencepiece import sentencepiece_model_pb2
from texts import SEED, all_texts

HERE = Path(__file__).resolve().parent
COMMON = {
    "model_type": "bpe", "normalization_rule_name": "identity", "num_threads": 1, "vocab_size": 900,
    "character_coverage": 0.98, "allow_whitespace_only_pieces": True,
}  # fmt: skip
MODELS = {
    # As Llama 2 and Mistral.
    "llama": {"byte_fallback": True, "remove_extra_whitespaces": False, "split_digits": True},
    # As Gemma: no space before the text, pieces that are never split.
    "gemma": {
        "byte_fallback": True, "remove_extra_whitespaces": False, "add_dummy_prefix": False,
        "user_defined_symbols": ["<start>", "</h1>", "\n\n", "\n\n\n", "▁▁", "▁▁▁▁", "[@x]", "é"],
        "control_symbols": ["<turn>"],
    },
    # As the oldest: unknown characters have no bytes, and extra spaces are removed.
    "unknown": {"byte_fallback": False, "remove_extra_whitespaces": True, "vocab_size": 700},
}  # fmt: skip
TEXTS = 350


def train(options: dict) -> bytes:
    corpus = [line for text in [*LANGUAGES, *PROGRAMS] for line in text.split("\n") if line.strip()]
    corpus += [text for _, text in all_texts() if 3 < len(text) < 200]
    # Every character of the corpus becomes a piece: mostly Latin and Cyrillic letters, so that the model stays small.
    corpus = [line for line in corpus if all(character < "\u0500" or character in "日本語▁" for character in line)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, **(COMMON | options), minloglevel=2
    )
    return model.getvalue()


def texts(name: str, pieces: list[str]) -> list[str]:
    rng = random.Random(f"{SEED} {name}")
    chosen = [text for _, text in rng.sample([row for row in all_texts() if len(row[1]) < 150], TEXTS)]
    parts = [piece.replace("▁", " ") for piece in pieces if not piece.startswith("<0x")] + ["▁", " ", "  ", "\n", "日", "𐍈"]
    for _ in range(TEXTS):
        chosen.append("".join(rng.choice(parts) for _ in range(rng.randint(1, 12))))
    return ["", " ", "  a  b  ", *(text for text in chosen if "\0" not in text)]


def main() -> None:
    result = {}
    for name, options in MODELS.items():
        data = train(options)
        model = sentencepiece.SentencePieceProcessor(model_proto=data)
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(data)
        pieces = [piece.piece for piece in proto.pieces]
        types = [int(piece.type) for piece in proto.pieces]
        rng = random.Random(f"{SEED} decode {name}")
        control = {index for index, kind in enumerate(types) if kind in (2, 3)}
        rows = [[text, model.encode(text)] for text in texts(name, pieces)]
        decodings = []
        for _ in range(200):
            ids = [rng.choice([i for i in range(len(pieces)) if i not in control]) for _ in range(rng.randint(0, 9))]
            decodings.append([ids, model.decode(ids)])
        decodings += [[ids, model.decode(ids)] for _, ids in rng.sample(rows, 100) if not control & set(ids)]
        result[name] = {
            "pieces": pieces, "types": types, "scores": [piece.score for piece in proto.pieces],
            "add_space_prefix": proto.normalizer_spec.add_dummy_prefix,
            "remove_extra_whitespaces": proto.normalizer_spec.remove_extra_whitespaces,
            "encodings": rows, "decodings": decodings,
        }  # fmt: skip
        print(name, len(pieces), len(rows), len(decodings))
    path = HERE / "sentencepiece.json"
    path.write_text(json.dumps(result, separators=(",", ":"), ensure_ascii=True) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
