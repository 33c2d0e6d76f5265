"""Small tokenizers of Hugging Face `tokenizers`, one for each way of putting its components together, and texts for them."""

import random

from samples import COMPOSED, EMOJI, LANGUAGES, PROGRAMS
from texts import SEED, all_texts
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
KIMI = (
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# What Oniguruma and PCRE2 understand differently.
DIALECT = r"^\h{2,3}+|\bthe\b|[[:punct:]]{,2}!|[a-c[x-z]&&[^y]]+|\p{^L}\w$|\x{e9}|\u00e8|(?m:a.)|a{2}?b|(?=(\d{3})+(?!\d))"
SP_DECODER = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def special(content: str, **flags: bool) -> AddedToken:
    return AddedToken(content, special=True, **({"normalized": False} | flags))


def plain(content: str, **flags: bool) -> AddedToken:
    return AddedToken(content, special=False, **({"normalized": False} | flags))


def frame(tokenizer: Tokenizer, single: str) -> processors.TemplateProcessing:
    names = [name for name in single.split() if not name.startswith("$")]
    return processors.TemplateProcessing(
        single=single, pair="$A $B", special_tokens=[(name, tokenizer.token_to_id(name)) for name in dict.fromkeys(names)]
    )


def build(
    normalizer=None, pre=None, decoder=None, post=None, added=(), size=420, bytes_in_alphabet=False, **model
) -> Tokenizer:
    """Trains a BPE with these components on the samples; `model` are options of BPE."""
    fallback = model.get("byte_fallback", False)
    first = ([model["unk_token"]] if "unk_token" in model else []) + (BYTES if fallback else [])
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizers.Sequence(normalizer) if isinstance(normalizer, list) else normalizer
    # Without a pre-tokeniser a text is one word, from which nothing is learnt.
    learning = pre or (pre_tokenizers.Metaspace(prepend_scheme="never") if "▁" in str(normalizer) else pre_tokenizers.WhitespaceSplit())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(learning) if isinstance(learning, list) else learning
    options = {"limit_alphabet": 130}
    if bytes_in_alphabet:
        options = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if name in model:
            options[name] = model[name]
    corpus = [text for text in LANGUAGES[:9] + PROGRAMS + LANGUAGES[9:14] for _ in range(2)]
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=first, **options)
    tokenizer.train_from_iterator(corpus, trainer)
    if first:
        # The trainer made special tokens of them.
        import json

        state = json.loads(tokenizer.to_str())
        state["added_tokens"] = []
        tokenizer = Tokenizer.from_str(json.dumps(state))
    if not pre:
        import json

        state = json.loads(tokenizer.to_str())
        state["pre_tokenizer"] = None
        tokenizer = Tokenizer.from_str(json.dumps(state))
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    if decoder:
        tokenizer.decoder = decoders.Sequence(decoder) if isinstance(decoder, list) else decoder
    if post:
        tokenizer.post_processor = post(tokenizer) if callable(post) else post
    return tokenizer


def word_level() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=250, show_progress=False, special_tokens=["<unk>"])
    tokenizer.train_from_iterator(LANGUAGES + PROGRAMS, trainer)
    return tokenizer


def tokenizers() -> dict[str, Tokenizer]:
    byte_level = pre_tokenizers.ByteLevel
    eot = [special("<|end|>"), special("<|start|>"), plain("<tool>")]
    sp = {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>", "size": 800}
    sp_added = [special("<s>"), special("</s>", normalized=True), special("<unk>")]
    alphabet = {"bytes_in_alphabet": True}
    split = pre_tokenizers.Split
    result = {
        "gpt-2": build(pre=byte_level(False), decoder=decoders.ByteLevel(), post=processors.ByteLevel(), added=eot, **alphabet),
        "roberta": build(
            pre=byte_level(True), decoder=decoders.ByteLevel(),
            added=[special("<s>"), special("</s>"), special("<mask>", lstrip=True)],
            post=lambda t: processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>"))), **alphabet),
        "llama-3": build(
            pre=[split(Regex(CL100K), "isolated"), byte_level(False, use_regex=False)], decoder=decoders.ByteLevel(),
            ignore_merges=True, added=eot, post=lambda t: processors.Sequence([processors.ByteLevel(), frame(t, "<|start|> $A")]),
            **alphabet),
        "qwen": build(
            normalizer=normalizers.NFC(), pre=[split(Regex(CL100K), "isolated"), byte_level(False, use_regex=False)],
            decoder=decoders.ByteLevel(), added=[*eot, special("<é>", normalized=True)], **alphabet),
        "few-bytes": build(pre=byte_level(False), decoder=decoders.ByteLevel(), unk_token="<unk>", fuse_unk=True, size=500),
        "byte-normalizer": build(normalizer=normalizers.ByteLevel(), pre=split(Regex("Ġ"), "merged_with_next"), decoder=decoders.ByteLevel(), **alphabet),
        "falcon": build(
            pre=[pre_tokenizers.Punctuation("contiguous"), byte_level(False), pre_tokenizers.Digits(False), split(Regex("[0-9][0-9][0-9]"), "isolated")],
            decoder=decoders.ByteLevel(), **alphabet),
        "llama-2": build(
            normalizer=[normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")], decoder=SP_DECODER, added=sp_added,
            post=lambda t: frame(t, "<s> $A </s>"), **sp),
        "metaspace-first": build(pre=pre_tokenizers.Metaspace(prepend_scheme="first", split=False), decoder=SP_DECODER, added=sp_added, **sp),
        "metaspace-always": build(pre=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace(), added=[special("<s>"), plain("<h1>")], **(sp | {"size": 700, "byte_fallback": False})),
        "metaspace-never": build(pre=pre_tokenizers.Metaspace(prepend_scheme="never"), decoder=decoders.Metaspace(prepend_scheme="never"), unk_token="<unk>", size=600),
        "gemma": build(
            normalizer=normalizers.Replace(" ", "▁"), pre=split(" ", "merged_with_previous"), decoder=SP_DECODER[:3],
            added=[special("<bos>"), plain("\n\n"), plain("▁▁"), plain("<h1>"), plain("\t\t")], **sp),
        "clip": build(
            normalizer=[normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()],
            pre=[split(Regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True), byte_level(False)],
            decoder=[decoders.ByteLevel()], end_of_word_suffix="</w>", unk_token="<unk>", size=700),
        "bpe-suffix": build(pre=pre_tokenizers.WhitespaceSplit(), decoder=decoders.BPEDecoder("</w>"), end_of_word_suffix="</w>", unk_token="<unk>", size=600),
        "subword-prefix": build(
            pre=[pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()], continuing_subword_prefix="##",
            unk_token="[UNK]", size=600, added=[special("[CLS]"), special("[SEP]")],
            post=lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))),
        "bert-words": build(pre=pre_tokenizers.BertPreTokenizer(), unk_token="[UNK]", size=500),
        "whitespace": build(pre=[pre_tokenizers.Whitespace(), pre_tokenizers.Digits(False)], size=500),
        "punctuation": build(pre=[pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Digits(True)], unk_token="<unk>", size=500),
        "delimiter": build(pre=[pre_tokenizers.CharDelimiterSplit("e"), pre_tokenizers.FixedLength(5)], unk_token="<unk>", size=500),
        "scripts": build(pre=pre_tokenizers.UnicodeScripts(), unk_token="<unk>", fuse_unk=True, size=600),
        "nfkd": build(
            normalizer=[normalizers.Nmt(), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Strip(), normalizers.Lowercase()],
            pre=pre_tokenizers.Metaspace(prepend_scheme="first"), added=[special("<S>", normalized=True), plain("Day", normalized=True)],
            unk_token="<unk>", size=400),
        "nfkc": build(normalizer=normalizers.NFKC(), pre=pre_tokenizers.WhitespaceSplit(), unk_token="<unk>", size=500),
        "nfd": build(normalizer=[normalizers.NFD(), normalizers.Strip(left=False)], pre=split("a", "merged_with_next"), unk_token="<unk>", size=500),
        "added": build(
            normalizer=normalizers.Lowercase(), pre=byte_level(False), decoder=decoders.ByteLevel(),
            added=[
                special("<L>", lstrip=True), special("<R>", rstrip=True), special("<LR>", lstrip=True, rstrip=True),
                special("<N>", normalized=True), plain("word", single_word=True), plain("Mixed", normalized=True),
                plain("yes", single_word=True, lstrip=True, normalized=True), plain("[é]", rstrip=True), plain("wordy"),
            ], **alphabet),
        "dialect": build(pre=split(Regex(DIALECT), "isolated"), size=500),
        "kimi": build(pre=[split(Regex(KIMI), "isolated"), byte_level(False, use_regex=False)], decoder=decoders.ByteLevel(), **alphabet),
        "words": word_level(),
    }  # fmt: skip
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            name = "split-" + behavior.replace("_", "-") + ("-inverted" if invert else "")
            result[name] = build(pre=split(Regex(r"\s|e|[0-9]{1,2}"), behavior, invert=invert), unk_token="<unk>", size=300)
    return result


def random_text(rng: random.Random, tokenizer_texts: list[str]) -> str:
    """A text of odd pieces: contents of tokens, spaces of all kinds, letters with accents, anything at all."""
    pieces = [
        " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2028", "\u3000", "▁", "▁▁", "a", "e", "the", "The", "THE",
        "don't", "I'LL", "'s", "1", "12", "123", "1234", "1234567", "²", "½", "٣", "é", "e\u0301", "ﬁ", "ß", "İ", "Σ", "ǆ",
        "한", "\u1112\u1161\u11ab", "日本", "語", "カ゛", "ー", "😀", "👨‍👩‍👧", "\u200b", "\u200d", "\ufeff", "\x00", "\x07", "!", "!!", "...",
        "«»", "—", "$", "+", "^", "_", "|", "[", "]", "(", "/", "\\", "word", "wordy", "words", "Mixed", "mixed", "yes", "Day",
        "<unk>", "<0x41>", "[UNK]", "##a", "xy", "aab", "abc",
    ]  # fmt: skip
    result = []
    for _ in range(rng.randint(0, 14)):
        choice = rng.random()
        if choice < 0.55:
            result.append(rng.choice(pieces))
        elif choice < 0.72 and tokenizer_texts:
            result.append(rng.choice(tokenizer_texts))
        elif choice < 0.82:
            sample = rng.choice(LANGUAGES + COMPOSED + EMOJI)
            start = rng.randrange(len(sample))
            result.append(sample[start : start + rng.randint(1, 12)])
        else:
            limit = rng.choice([0x80, 0x250, 0x3100, 0x11000, 0x20000, 0x110000])
            code = rng.randrange(limit)
            result.append(chr(code) if not 0xD800 <= code < 0xE000 else " ")
    return "".join(result)


def contents(tokenizer: Tokenizer) -> list[str]:
    """The contents of added tokens, and some tokens of the model."""
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    rng = random.Random(SEED)
    return added * 3 + rng.sample(sorted(tokenizer.get_vocab()), 20)


def is_mixed(tokenizer: Tokenizer, ids: list[int]) -> bool:
    """Whether a run of byte tokens has valid and invalid bytes.

    `tokenizers` then makes U+FFFD of all of them, at the end of the run; ttbatch, as SentencePiece, of the invalid ones.
    """
    runs: list[bytes] = [b""]
    added = tokenizer.get_added_tokens_decoder()
    for index in ids:
        if index in added and added[index].special:
            continue
        token = tokenizer.id_to_token(index) or ""
        if len(token) == 6 and token.startswith("<0x"):
            runs[-1] += bytes([int(token[3:5], 16)])
        else:
            runs.append(b"")
    for run in runs:
        text = run.decode(errors="replace")
        if "\ufffd" in text and text.strip("\ufffd"):
            return True
    return False


def is_told_apart(tokenizer: Tokenizer, ids: list[int]) -> bool:
    """Whether ttbatch decodes these ids otherwise on purpose: a mixed run of bytes, or a special token that `tokenizers`
    does not recognise because its normaliser changes it. ttbatch leaves it out of the text as every other."""
    added = tokenizer.get_added_tokens_decoder()
    for token in (added[index] for index in ids if index in added):
        if token.special and token.normalized and tokenizer.normalizer:
            if tokenizer.normalizer.normalize_str(token.content) != token.content:
                return True
    return is_mixed(tokenizer, ids)


def short_texts(rng: random.Random, count: int) -> list[str]:
    return [text for _, text in rng.sample([row for row in all_texts() if len(row[1]) < 60], count)]
