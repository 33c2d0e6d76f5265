"""Writes the Unicode classes of Hugging Face `tokenizers`, and the part of them that is newer than Unicode 14.

    python make_unicode_classes.py

Needs: tokenizers, and Python 3.11 or older, whose `unicodedata` is Unicode 14 like the oldest PCRE2 supported here.
Writes unicode-classes.json beside this script (each class as [first, last] ranges) and
Sources/Tokenizers/UnicodeSupplement.swift. `digit` is the class of the `Digits` pre-tokeniser.
"""

import json
import unicodedata
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

HERE = Path(__file__).resolve().parent
SWIFT = HERE.parent.parent.parent / "Sources" / "Tokenizers" / "UnicodeSupplement.swift"
CLASSES = ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S"]
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def matched(pattern: str) -> set[str]:
    """The characters that the library's own regular expressions put into the class."""
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return set().union(*(piece for piece, _ in split.pre_tokenize_str("".join(CHARACTERS))))


def digits() -> set[str]:
    """What `Digits` isolates: it asks Rust's standard library, whose Unicode is newer than the regex engine's."""
    text = "".join("a" + character for character in CHARACTERS)
    return {piece for piece, _ in pre_tokenizers.Digits(True).pre_tokenize_str(text) if len(piece) == 1 and piece != "a"}


def ranges(characters: set[str]) -> list[list[int]]:
    result: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


def newer(name: str, characters: set[str]) -> set[str]:
    letter = "N" if name == "digit" else name
    return {character for character in characters if not unicodedata.category(character).startswith(letter)}


def main() -> None:
    assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
    classes = {name: matched(rf"\p{{{name}}}") for name in CLASSES} | {"space": matched(r"\s"), "digit": digits()}
    table = {name: ranges(characters) for name, characters in classes.items()}
    (HERE / "unicode-classes.json").write_text(json.dumps(table, separators=(",", ":")) + "\n")
    lines = [
        "// Characters that Unicode 15 and later added to the classes of the patterns; made by make_unicode_classes.py.",
        "//",
        "// A system's PCRE2 may be as old as Unicode 14, while Hugging Face `tokenizers` is newer: without these ranges the",
        "// same text would be cut elsewhere on such a system. On a newer PCRE2 they say nothing new.",
        "",
        "/// Class members that PCRE2 may not know yet, in the syntax of a PCRE2 character class.",
        "enum UnicodeSupplement {",
        "    static let ranges: [String: String] = [",
    ]
    for name in [*CLASSES, "digit"]:
        extra = [
            rf"\x{{{first:X}}}" + (rf"-\x{{{last:X}}}" if last > first else "")
            for first, last in ranges(newer(name, classes[name]))
        ]
        lines.append(f'        "{name}":')
        rows, row = [], ""
        for item in extra:
            if len(row) + len(item) > 92:
                rows.append(row)
                row = ""
            row += item
        rows.append(row)
        lines += [f'            {"+ " if index else ""}#"{row}"#' for index, row in enumerate(rows)]
        lines[-1] += ","
    SWIFT.write_text("\n".join([*lines, "    ]", "}", ""]))


if __name__ == "__main__":
    main()
