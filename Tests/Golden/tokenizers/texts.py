"""The texts of the tokenizer golden data, each with its kind, from the samples and from seeded random generators."""

import random
import unicodedata
from collections.abc import Iterator

from samples import COMPOSED, EMOJI, LANGUAGES, PROGRAMS, SPECIAL_NEARLY, SPECIAL_TEXTS, SPECIAL_TOKENS

SEED = 20240607
WHITESPACE = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b"
    "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
WHITESPACE_PATTERNS = [
    "{0}", "{0}{0}", "a{0}b", "a{0}{0}b", "a{0}{0}{0}1", "{0}a", "{0}{0}a", "a{0}", "a{0}{0}", " {0}a", "{0} a", "a {0}\n b",
    ".{0}{0}.", "{0}1", "1{0}{0}2", "{0}'s",
]  # fmt: skip
RUN_CHARACTERS = [
    "a", "A", " ", "\n", "\t", "1", "=", "-", ".", "é", "中", "😀", "\r\n", "ab", "a ", " \n", "\u0301", "\u3000", "'s",
]  # fmt: skip
RUN_LENGTHS = [3, 4, 7, 16, 33, 100]
LONG_RUNS = [
    ("a", 2000), (" ", 2000), ("=", 2000), ("\n", 1000), ("1", 500), ("é", 300), ("中", 300), ("😀", 150), ("aB", 500),
]  # fmt: skip
SUFFIXES = ["s", "t", "re", "ve", "m", "ll", "d"]
NUMERALS = "0123456789²³¹½¼⅓↉Ⅷⅻ①⑳㉛〇٠٣٩۵१९৫੩૭௧௰౩೩൩๕໑༣༳၅፩፲១᠓６𝟏𝟘𑁧🄂🯰𐄇𒐀𐹠㈠㊿"
CONTEXTS = ["I{0}x", "it{0} ok", " {0}", "1{0}2", "{0}{0}"]


def all_texts() -> list[tuple[str, str]]:
    """(kind, text), no text twice, in an order that never changes."""
    rng = random.Random(SEED)
    sources = [
        ("language", LANGUAGES),
        ("program", PROGRAMS),
        ("emoji", EMOJI),
        ("whitespace", whitespace()),
        ("control", controls()),
        ("numeral", numerals(rng)),
        ("contraction", contractions()),
        ("run", runs()),
        ("special", specials()),
        ("normalisation", normalisation()),
        ("language-part", [part(rng, LANGUAGES, 60) for _ in range(360)]),
        ("program-part", [part(rng, PROGRAMS, 60) for _ in range(240)]),
        ("truncated", [truncated(rng) for _ in range(200)]),
        ("mixed-parts", [mixed_parts(rng) for _ in range(240)]),
        ("random-one-script", [random_one_script(rng) for _ in range(200)]),
        ("random-mixture", [random_mixture(rng) for _ in range(300)]),
        ("random-ascii", [random_ascii(rng) for _ in range(240)]),
    ]
    seen: dict[str, str] = {}
    for kind, texts in sources:
        for text in texts:
            seen.setdefault(text, kind)
    seen.pop("", None)
    return [(kind, text) for text, kind in seen.items()]


def whitespace() -> Iterator[str]:
    for character in WHITESPACE:
        for pattern in WHITESPACE_PATTERNS:
            yield pattern.format(character)
    yield from ["a\r\nb", "a\r\n\r\nb", "\r\n", "a\n\rb", "a \r\n b", "\r\n\r\n  x"]
    yield from [" \n \n x", "x \t \n", "\t \t x", "a\n \n  b\n"]


def controls() -> Iterator[str]:
    invisible = [0xAD, 0x200E, 0x202E, 0x2066, 0xFFF9, 0xFFFD, 0xFFFE, 0xE000, 0x10FFFD]
    for code in [*range(0x20), *range(0x7F, 0xA0), *invisible]:
        yield f"a{chr(code)}b"
        yield f" {chr(code) * 2} 1"
        yield f".{chr(code)}."  # a vocabulary may lack the byte: are its neighbours then neighbours of each other?


def numerals(rng: random.Random) -> Iterator[str]:
    for numeral in NUMERALS:
        yield from [f"a{numeral}b", f" {numeral}{numeral} 5{numeral}"]
    for _ in range(60):
        yield "".join(rng.choice(NUMERALS + "0123456789 ,.") for _ in range(rng.randint(2, 12)))
    for length in range(1, 12):
        yield "9" * length
        yield f"x {'1234567890'[: length % 10 + 1]}{'7' * length}.50"


def contractions() -> Iterator[str]:
    for suffix in SUFFIXES:
        for form in [suffix, suffix.upper(), suffix.capitalize()]:
            for apostrophe in "'’":
                yield from (context.format(apostrophe + form) for context in CONTEXTS)
    # U+017F and U+212A fold to s and k; a caseless match may take them for the letter.
    yield from ["it'\u017f", "it'\u017ft", "'\u212a", "''s", "'s's", "' s", "\"'s"]
    yield from ["don't've", "y'all'd've", "rock'n'roll", "'LL'll"]


def runs() -> Iterator[str]:
    for unit in RUN_CHARACTERS:
        for length in RUN_LENGTHS:
            yield unit * length
        yield f"x{unit * 9}x"
        yield f" {unit * 5} "
    yield from (unit * length for unit, length in LONG_RUNS)


def specials() -> Iterator[str]:
    yield from SPECIAL_NEARLY
    for first, second in zip(SPECIAL_TOKENS, SPECIAL_TOKENS[1:] + SPECIAL_TOKENS[:1]):
        yield from (pattern.format(first, second) for pattern in SPECIAL_TEXTS)


def normalisation() -> Iterator[str]:
    for text in COMPOSED:
        for form in ["NFC", "NFD", "NFKC"]:
            yield unicodedata.normalize(form, text)
            yield f"x {unicodedata.normalize(form, text)}y"


def part(rng: random.Random, samples: list[str], longest: int) -> str:
    """A piece cut anywhere between two code points: inside words, clusters and escapes."""
    sample = rng.choice(samples)
    start = rng.randrange(len(sample))
    return sample[start : start + rng.randint(1, longest)]


def truncated(rng: random.Random) -> str:
    """A piece that begins or ends with a character of several bytes."""
    text = rng.choice(LANGUAGES[1:]) + rng.choice(EMOJI)
    cut = rng.choice([index for index, character in enumerate(text) if ord(character) > 0x7F])
    if rng.random() < 0.5:
        return text[max(0, cut - rng.randint(0, 25)) : cut + 1]
    return text[cut : cut + rng.randint(1, 25)]


def mixed_parts(rng: random.Random) -> str:
    separators = ["", "", " ", "  ", "\n", "\r\n", "\t", "'", "1", "-", ", ", "\u00a0"]
    pieces = [part(rng, rng.choice([LANGUAGES, PROGRAMS, EMOJI]), 14) for _ in range(rng.randint(2, 5))]
    return "".join(piece + rng.choice(separators) for piece in pieces)


def random_one_script(rng: random.Random) -> str:
    """Neighbouring code points, from anywhere in the planes that have characters."""
    while True:
        start = rng.choice([rng.randrange(0x80, 0x3000), rng.randrange(0x80, 0x10000), rng.randrange(0x10000, 0x20000)])
        block = [chr(code) for code in range(start, start + 64) if assigned(code)]
        if block:
            return "".join(rng.choice([*block, " "]) for _ in range(rng.randint(1, 12)))


def random_mixture(rng: random.Random) -> str:
    return "".join(random_character(rng) for _ in range(rng.randint(1, 14)))


def random_character(rng: random.Random) -> str:
    match rng.randrange(8):
        case 0 | 1:
            return chr(rng.randrange(0x20, 0x7F))
        case 2:
            return rng.choice(WHITESPACE)
        case 3:
            return rng.choice(NUMERALS)
        case 4:
            return rng.choice("\u0300\u0301\u0308\u0323\u20e3\ufe0f\u200d\u093f\u0e31\u064e\U0001f3fd")
        case 5:
            return rng.choice(rng.choice(LANGUAGES))
        case _:
            while True:
                start, end = rng.choice([(0x80, 0x800), (0x800, 0x10000), (0x10000, 0x110000)])
                code = rng.randrange(start, end)
                if assigned(code):
                    return chr(code)


def random_ascii(rng: random.Random) -> str:
    printable = "".join(map(chr, range(0x20, 0x7F)))
    alphabet = rng.choice(["abc  '\n", "aA1 .,'\n\t ", printable, " \n\t\ra", "019 a.-", "'stremvld S"])
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 40)))


def assigned(code: int) -> bool:
    """Characters of Unicode 14: later ones have no category in some tables, so that software may differ on them."""
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")
