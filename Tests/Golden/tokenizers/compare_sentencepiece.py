"""Compares ttbatch's tokenizer with SentencePiece on random texts and random ids.

    python compare_sentencepiece.py DRIVER MODEL… [--texts 20000] [--seed 0]

Needs: sentencepiece, protobuf, gguf. DRIVER is the built program `tokenizer-driver`; each MODEL is a SentencePiece model of
the kind BPE, for instance those of the PyPI package mistral-common. It is given to the driver as the vocabulary of a GGUF
file. Exits with 1 if anything differs.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import gguf
import sentencepiece
from compare_hugging_face import answers
from sentencepiece import sentencepiece_model_pb2
from small_tokenizers import random_text

SHOWN = 3


def vocabulary_file(model: sentencepiece_model_pb2.ModelProto, path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    types = [int(piece.type) for piece in model.pieces]
    texts = [p.piece.replace("▁", " ") if t == 4 else p.piece for p, t in zip(model.pieces, types)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text.encode() for text in texts])
    writer.add_token_scores([piece.score for piece in model.pieces])
    writer.add_token_types(types)
    writer.add_add_space_prefix(model.normalizer_spec.add_dummy_prefix)
    writer.add_bool("tokenizer.ggml.remove_extra_whitespaces", model.normalizer_spec.remove_extra_whitespaces)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def compare(driver: Path, path: Path, count: int, seed: int) -> int:
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(path.read_bytes())
    rng = random.Random(f"{seed} {path.name}")
    pieces = [rng.choice(proto.pieces).piece.replace("▁", " ") for _ in range(500)]
    texts = [text for text in (random_text(rng, pieces) for _ in range(count)) if "\0" not in text]
    special = {index for index, piece in enumerate(proto.pieces) if piece.type in (2, 3)}
    ids = [[rng.randrange(len(proto.pieces)) for _ in range(rng.randint(1, 12))] for _ in range(count // 4)]
    ids = [sequence for sequence in ids if not special & set(sequence)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vocabulary.gguf"
        vocabulary_file(proto, file)
        found = answers(driver, file, [{"text": text} for text in texts] + [{"ids": sequence} for sequence in ids])
    expected = [{"ids": row} for row in model.encode(texts)] + [{"text": text} for text in model.decode(ids)]
    different = 0
    for request, ours, theirs in zip(texts + ids, found, expected):
        if any(ours[key] != value for key, value in theirs.items()):
            different += 1
            if different <= SHOWN:
                print(f"  {request!r}\n    ours   {({k: ours[k] for k in theirs})}\n    theirs {theirs}")
    print(f"{path.name}: {different} of {len(expected)} differ")
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("driver", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    different = [compare(options.driver, path, options.texts, options.seed) for path in options.models]
    sys.exit(1 if any(different) else 0)


if __name__ == "__main__":
    main()
