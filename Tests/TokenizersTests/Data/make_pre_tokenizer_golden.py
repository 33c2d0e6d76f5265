"""Writes how Hugging Face `tokenizers` cuts texts before BPE, for the pre-tokenisers that need no model to be tested.

    python make_pre_tokenizer_golden.py

Needs: tokenizers. Writes pre-tokenizers.json beside this script: texts, and for each name of
`tokenizer.ggml.pre` the lengths of each text's pieces. The pre-tokenisers are those of each family's
tokenizer.json, `default` is llama.cpp's own. The same run gives the same bytes.
"""

import json
import random
import sys
from pathlib import Path

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, Split

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "Golden" / "tokenizers"))

from samples import COMPOSED, EMOJI, LANGUAGES, PROGRAMS  # noqa: E402

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+CONTRACTION"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*CONTRACTION"
    r"|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK_V3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CASED_LETTERS = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ"
    "\u1f5f-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ"
    "Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
BAILING = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
SEED_CODER = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}"
    "| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
)
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
HAN = "[一-龥ࠀ-一가-\ud7ff]+"
GPT_2 = ByteLevel(add_prefix_space=False, use_regex=True)
TEXTS_FOR_EACH = 140


def split(pattern: str) -> Split:
    return Split(Regex(pattern), behavior="isolated")


STEPS = {
    "gpt-2": [GPT_2],
    "smollm": [Digits(True), GPT_2],
    "default": [split(r"[\p{P}$+<=>^~|]+"), GPT_2, split(r"\p{N}+"), split("[0-9][0-9][0-9]")],
    "llama-bpe": [split(CL100K.replace("DIGITS", r"\p{N}{1,3}"))],
    "minicpm5": [split(r"\p{N}{1,3}"), split(CL100K.replace("DIGITS", r"\p{N}+"))],
    "qwen2": [split(CL100K.replace("DIGITS", r"\p{N}"))],
    "qwen35": [split(QWEN_35)],
    "tekken": [split(O200K.replace("CONTRACTION", "").replace("DIGITS", r"\p{N}"))],
    "gpt-4o": [split(O200K.replace("CONTRACTION", CONTRACTION).replace("DIGITS", r"\p{N}{1,3}"))],
    "deepseek-llm": [
        split("[\r\n]"),
        split(rf"\s?[{CASED_LETTERS}]+"),
        split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split(r"\s+$"),
        split(HAN),
        Digits(True),
    ],
    "deepseek-coder": [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(HAN), Digits(True)],
    "deepseek-v3": [split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK_V3)],
    "bailingmoe": [split(BAILING)],
    "seed-coder": [split(SEED_CODER)],
    "bloom": [split(r" ?[^(\s|[.,!?…。，、।۔،])]+")],
    "jais-2": [
        split(
            CL100K.replace("DIGITS", r"\p{N}{1,3}").replace(
                r"\s+(?!\S)|\s+", "".join(rf"\s{{{2**n}}}(?!\S)|" for n in range(9, 1, -1)) + r"\s{1,2}(?!\S)|\s{1}"
            )
        )
    ],
    "laguna": [split(r"[^\n]+|[\n]+"), split(CL100K.replace("DIGITS", r"\p{N}"))],
    "ufakzeka": [split(CL100K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)|", "").replace("DIGITS", r"\p{N}"))],
    "exaone-moe": [
        split(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
        )
    ],
    "granite-embed-multi-97m": [split(O200K.replace("CONTRACTION", CONTRACTION).replace("DIGITS", r"\p{N}{1,3}"))],
    "tiny_aya": [
        split(r"\d{1,3}(?=(?:\d{3})*\b)"),
        split(O200K.replace("CONTRACTION", CONTRACTION).replace("DIGITS", r"\p{N}{1,3}")),
    ],
    "superbpe": [split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))")],
    "youtu": [
        split("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[一-龥\u3040-ゟ゠-ヿ]+"),
        split(O200K.replace("CONTRACTION", CONTRACTION).replace("DIGITS", r"\p{N}")),
    ],
    "kimi-k2": [
        split(
            r"[\p{Han}]+|"
            + O200K[: O200K.index("|DIGITS")]
            .replace(r"\p{Lo}\p{M}]", r"\p{Lo}\p{M}&&[^\p{Han}]]")
            .replace("CONTRACTION", CONTRACTION)
            + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    ],
    "spark2_5": [
        split(r"\p{N}{1,3}"),
        split("[一-龥\u3040-ゟ゠-ヿ]+"),
        split(
            DEEPSEEK_V3[: DEEPSEEK_V3.index("| ?")] + r"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"
        ),
        split(r"\p{N}"),
    ],
    "chameleon": [
        split("<sentinel:[0-9]+>"),
        split("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
        split(r"([\t\n]|    |  )"),
        Digits(True),
        split(r"[\p{P}!-/:-@\[-`{-~]"),
        GPT_2,
    ],
    "viking": [split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), Digits(True)],
}


def texts() -> list[str]:
    """Whole samples, their ends, and pieces of all of them run together: what stands at a border decides."""
    rng = random.Random("pre-tokenizers")
    samples = LANGUAGES + PROGRAMS + EMOJI + COMPOSED
    mixed = "".join(rng.sample(samples, len(samples)))
    result = ["", " ", "\n", "  \n ", "a", "'S 'LL 'ſ it'Re", "12345 6789", "1234567x 123456 12", "½1234", "IMGIMGABZ<sentinel:12>", "fooBarBAZ QuxÉcole ΑβΓ", "x \u180e\u0085\u2028y"]
    result += rng.sample(samples, 50)
    for _ in range(TEXTS_FOR_EACH - len(result)):
        cuts = [rng.randrange(len(mixed)) for _ in range(3)]
        joints = rng.choices(["", " ", "  ", "\n", " \r\n", "\t\t", "1", "20 24", "'s", "\u3000", "\u0301", "!?", "\u00a0"], k=3)
        result.append("".join(mixed[cut : cut + rng.randint(1, 14)] + joint for cut, joint in zip(cuts, joints)))
    return result


def pieces(steps: list, text: str) -> list[str]:
    """The pieces as text: a ByteLevel step spells them in its alphabet, so they are taken by their offsets."""
    parts = [text]
    for step in steps:
        parts = [part[a:b] for part in parts for a, b in offsets(step, part)]
    return parts


def offsets(step, text: str) -> list[tuple[int, int]]:
    return [span for _, span in step.pre_tokenize_str(text) if span[1] > span[0]]


def lengths(steps: list, text: str) -> list[int]:
    """The pieces by their length in characters: they lie end to end."""
    parts = pieces(steps, text)
    assert "".join(parts) == text, text
    return [len(part) for part in parts]


def main() -> None:
    cases = texts()
    result = {name: [lengths(steps, text) for text in cases] for name, steps in STEPS.items()}
    golden = {"texts": cases, "pieces": result}
    (HERE / "pre-tokenizers.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
