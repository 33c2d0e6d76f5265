"""Writes what regular expressions match in Hugging Face `tokenizers`, whose engine is Oniguruma: regular-expressions.json.

    python make_regular_expressions.py

Needs: tokenizers. For each pattern and text: the matches as [first, end] in code points, or null where the pattern is refused.
"""

import json
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

HERE = Path(__file__).resolve().parent
PATTERNS = [
    r"^a|b$", r"\Aa|b\z|b\Z", r"\h+", r"\H+", r"a{2,3}+b", r"a{2}?", r"a{,2}b", r"a{2,}?", r"a+?b", r"a++b", r"a?+b", r"a**b",
    r"(?:ab)*+c", r".+", r"(?m:.+)", r"(?m).+", r"(?i:ab)c", r"(?i)aB|é", r"(?-i:a)b", r"[a-c[x-z]]+", r"[a-z&&[^aeiou]]+",
    r"[^a-z&&[^aeiou]]+", r"[[:alpha:]]+", r"[[:^alpha:]]+", r"[[:punct:]]+", r"[^[:space:]]+", r"[\p{L}&&\p{ASCII}]+", r"\p{^L}+",
    r"\P{L}+", r"\p{Han}+", r"\p{Hiragana}+", r"\p{script=Han}|a", r"\p{Letter}+", r"\p{uppercase_letter}", r"[\w-]+", r"[a\-c]+",
    r"[-a]+", r"[a-]+", r"[]a]+", r"[\]a]+", r"[a&&b]|x", r"\bab\b", r"\Bb", r"(?=\d{3})\d", r"(?<=a)b", r"(?<!a)b", r"(?<!a|bc)b",
    r"(?>a+)b", r"(?<name>a)b", r"(?#comment)a", r"\x61|\x{62}|\u00e9", r"\t|\n|\v", r"\s+(?!\S)|\s+", r"\S+", r"\d+|\D", r"\w+|\W",
    r"[\d\s]+", r"[\D]+", r"[^\W]+", r"\R", r"a||b", r"(a|)b", r"\.\*\[", r"[.*+?{}()|^$]+", r"{a}", r"a{b}", r"a{1,b}", r"\#\-\ ",
    r"[一-龥]+", "[\u0800-\u4e00]+", r"'(?i:[sdmt]|ll|ve|re)", r"(?=(\d{3})+(?!\d))", r"\p{N}{1,3}", r"[\r\n]+|[^\r\n]+", r"\p{C}",
    r"[^\S\n]+", r"(a)(b)?", r"[[a-c]&&[b-d]&&[^c]]+", r"[\p{Lu}\p{M}&&[^\p{Han}]]+", r"\p{Emoji}", r"\p{Alpha}+", r"\p{Alnum}+",
    r"\e|\a|\f", r"(?:(?:a)b)+", r"\G.", r"\p{Nd}+", r"x*", r"[[:word:]]+", r"[[:xdigit:]]+", r"[a-c&&b-d]+",
]  # fmt: skip
TEXTS = [
    "", "a", "ab\nab", "aab aaab abb\n", "aaab ab b", "ABC abc aBc É é", "x1F g-h [a] ]b", "the café: naïve—日本語ひらがなカタカナ",
    " \t\n  x  \r\n\u00a0\u3000y", "1 12 123 1234 1234567 ٣٤ ½ ²", "I'll don't WE'RE 'S", "{a} a{b} a{1,b} .*[ # - $^", "\u0301e\u0301 ǅ ß ſ K",
    "😀👍🏽 \u200b\u200d\x00\x07\x1b", "abababc bcb xyz XYZ_09",
]  # fmt: skip


def matches(pattern: str) -> list | None:
    try:
        split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    except Exception:
        return None
    return [[list(offsets) for _, offsets in split.pre_tokenize_str(text)] for text in TEXTS]


def main() -> None:
    rows = [[pattern, matches(pattern)] for pattern in PATTERNS]
    (HERE / "regular-expressions.json").write_text(
        json.dumps({"texts": TEXTS, "patterns": rows}, separators=(",", ":"), ensure_ascii=True) + "\n"
    )
    print(len(rows), [pattern for pattern, found in rows if found is None])


if __name__ == "__main__":
    main()
