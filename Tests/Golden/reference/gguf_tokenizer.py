"""The byte-level BPE tokenizer of a GGUF file, built with Hugging Face `tokenizers`.

The vocabulary and the merges are the file's. The pre-tokeniser is the one that the model family which
`tokenizer.ggml.pre` names has in its `tokenizer.json`.
"""

from pathlib import Path

from gguf import GGUFReader
from gguf_model import metadata
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split
from transformers import PreTrainedTokenizerFast

CONTROL_TOKEN = 3  # tokenizer.ggml.token_type
LLAMA_3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2_PATTERN = LLAMA_3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")


def load_tokenizer(path: Path, pre: str | None = None) -> Tokenizer:
    """`pre` replaces the file's own kind of pre-tokeniser. Texts of control tokens become those tokens."""
    reader = GGUFReader(path)
    pre = pre or metadata(reader, "tokenizer.ggml.pre")
    tokens = metadata(reader, "tokenizer.ggml.tokens")
    kinds = metadata(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in metadata(reader, "tokenizer.ggml.merges")]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    # Llama 3 is the one family here that takes a whole pre-token found in the vocabulary without merging.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = _pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    if metadata(reader, "tokenizer.ggml.add_bos_token", False):
        bos = metadata(reader, "tokenizer.ggml.bos_token_id")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[bos]} $A", special_tokens=[(tokens[bos], bos)]
        )
    return tokenizer


def load_chat_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The transformers tokenizer, for `apply_chat_template` with the file's own template."""
    reader = GGUFReader(path)
    tokens = metadata(reader, "tokenizer.ggml.tokens")
    return PreTrainedTokenizerFast(
        tokenizer_object=load_tokenizer(path),
        bos_token=tokens[metadata(reader, "tokenizer.ggml.bos_token_id")],
        eos_token=tokens[metadata(reader, "tokenizer.ggml.eos_token_id")],
        chat_template=metadata(reader, "tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
    )


def _pre_tokenizer(pre: str) -> pre_tokenizers.PreTokenizer:
    match pre:
        case "smollm":
            return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)])
        case "gpt-2":
            return ByteLevel(add_prefix_space=False, use_regex=True)
        case "llama-bpe" | "qwen2":
            pattern = LLAMA_3_PATTERN if pre == "llama-bpe" else QWEN_2_PATTERN
            return Sequence(
                [
                    Split(Regex(pattern), behavior="isolated"),
                    ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            )
        case _:
            raise ValueError(f"no pre-tokeniser is known here for tokenizer.ggml.pre = {pre!r}")
