"""The SentencePiece tokenizer of a GGUF file, as the `sentencepiece` package runs it.

The file has the pieces, their scores and kinds; the rest is what Gemma's own model says: byte-pair merging by score,
bytes for unknown characters, no normalisation.
"""

import re
from pathlib import Path

import sentencepiece
from gguf import GGUFReader
from gguf_model import metadata
from sentencepiece import sentencepiece_model_pb2

SPACE = "\u2581"
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # tokenizer.ggml.token_type; SentencePiece has the same numbers


class SentencePieceTokenizer:
    def __init__(self, path: Path):
        reader = GGUFReader(path)
        if (kind := metadata(reader, "tokenizer.ggml.model")) != "llama":
            raise ValueError(f"{path}: tokenizer.ggml.model is {kind!r}, not 'llama'")
        pieces = metadata(reader, "tokenizer.ggml.tokens")
        kinds = metadata(reader, "tokenizer.ggml.token_type")
        model = sentencepiece_model_pb2.ModelProto()
        for piece, score, kind in zip(pieces, metadata(reader, "tokenizer.ggml.scores"), kinds):
            # GGUF files spell spaces in user-defined pieces as they are.
            spelling = piece.replace(" ", SPACE) if kind == USER_DEFINED else piece
            model.pieces.add(piece=spelling, score=score, type=kind)
        model.pieces[metadata(reader, "tokenizer.ggml.unknown_token_id")].type = model.SentencePiece.UNKNOWN
        model.trainer_spec.model_type = model.trainer_spec.BPE
        model.trainer_spec.byte_fallback = True
        model.trainer_spec.vocab_size = len(pieces)
        for name in ["unk", "bos", "eos", "pad"]:
            key = {"unk": "unknown", "pad": "padding"}.get(name, name)
            identifier = metadata(reader, f"tokenizer.ggml.{key}_token_id")
            setattr(model.trainer_spec, f"{name}_id", identifier)
            setattr(model.trainer_spec, f"{name}_piece", pieces[identifier])
        model.normalizer_spec.name = "identity"
        model.normalizer_spec.add_dummy_prefix = metadata(reader, "tokenizer.ggml.add_space_prefix", True)
        model.normalizer_spec.remove_extra_whitespaces = False
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        self._control = {piece: index for index, (piece, kind) in enumerate(zip(pieces, kinds)) if kind == CONTROL}
        spellings = sorted(self._control, key=len, reverse=True)
        self._control_pattern = re.compile("(" + "|".join(map(re.escape, spellings)) + ")")
        adds_bos = metadata(reader, "tokenizer.ggml.add_bos_token", False)
        self._prefix = [metadata(reader, "tokenizer.ggml.bos_token_id")] if adds_bos else []

    def encode_ordinary(self, text: str) -> list[int]:
        """The texts of control tokens are ordinary text."""
        return self._processor.encode(text)

    def encode(self, text: str) -> list[int]:
        """As a prompt: with BOS where the file says so; the texts of control tokens become those tokens."""
        ids = list(self._prefix)
        for place, part in enumerate(self._control_pattern.split(text)):
            ids += [self._control[part]] if place % 2 else self.encode_ordinary(part)
        return ids
