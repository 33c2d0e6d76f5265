"""Writes the tokenizer of the random models beside this script: tokenizer.json and tokenizer_config.json.

Byte-level BPE: 256 bytes, seven control tokens, and one merge, without which llama.cpp refuses a file.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

HERE = Path(__file__).resolve().parent
CONTROL = {256: "<|bos|>", 257: "<|eos|>", 258: "<|pad|>"} | {260 + i: f"<|extra{i}|>" for i in range(4)}
MERGED = {259: ("a", "b")}


def byte_alphabet() -> list[str]:
    """The character that stands for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = {byte: chr(256 + place) for place, byte in enumerate(sorted(set(range(256)) - set(plain)))}
    return [moved.get(byte, chr(byte)) for byte in range(256)]


def vocabulary() -> list[str]:
    tokens = dict(enumerate(byte_alphabet())) | CONTROL | {token: "".join(pair) for token, pair in MERGED.items()}
    return [tokens[token] for token in range(len(tokens))]


def main() -> None:
    ids = {text: token for token, text in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=list(MERGED.values())))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROL.values()])
    tokenizer.save(str(HERE / "tokenizer.json"))
    config = dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token="<|bos|>", eos_token="<|eos|>", pad_token="<|pad|>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    (HERE / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
