"""Writes the Unicode classes of Hugging Face `tokenizers`, and in what they differ from those of PCRE2 and Swift.

    python make_unicode_classes.py

Needs: tokenizers, unicodedata2 (Unicode 16 or newer), and Python 3.11 or older, whose own `unicodedata` is Unicode 14 like
the oldest PCRE2 supported here. Writes unicode-classes.json beside this script (each class as [first, last] ranges) and
Sources/Tokenizers/Text/UnicodeSupplement.swift.

The library asks several tables: its regular expressions (Oniguruma, Unicode 16; `w` is their `\\w`), Rust's standard
library (`digit`: the class of the `Digits` pre-tokeniser), Rust's regular expressions (`word`), and two crates that have
stayed at older versions (`punctuation` and `mark`; normalisation forms).
"""

import json
import unicodedata
from pathlib import Path

import unicodedata2
from tokenizers import Regex, normalizers, pre_tokenizers

HERE = Path(__file__).resolve().parent
SWIFT = HERE.parent.parent.parent / "Sources" / "Tokenizers" / "Text" / "UnicodeSupplement.swift"
CLASSES = (
    "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf Co".split()
)
SCRIPTS = (
    "Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew "
    "Hiragana Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Sinhala Tamil Telugu Thai Tibetan"
).split()
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
FORMS = ["NFC", "NFD", "NFKC", "NFKD"]


def matched(pattern: str) -> set[str]:
    """The characters that the library's own regular expressions put into the class."""
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return set().union(*(piece for piece, _ in split.pre_tokenize_str("".join(CHARACTERS))))


def isolated(pre_tokenizer: pre_tokenizers.PreTokenizer) -> set[str]:
    """The characters that a pre-tokeniser isolates."""
    text = "".join("a" + character for character in CHARACTERS)
    return {piece for piece, _ in pre_tokenizer.pre_tokenize_str(text) if len(piece) == 1 and piece != "a"}


def words() -> set[str]:
    """The word characters of `Whitespace`, which are those of Rust's regular expressions."""
    pre_tokenizer = pre_tokenizers.Whitespace()
    return {c for c in CHARACTERS if (pre_tokenizer.pre_tokenize_str(f"a{c}-") or [("",)])[0][0] == "a" + c}


def marks() -> set[str]:
    normalizer = normalizers.StripAccents()
    return {character for character in CHARACTERS if normalizer.normalize_str(character) == ""}


def inert() -> set[str]:
    """Characters that the library's normalisation forms leave alone though Unicode gives them a mapping or a class."""
    result = set()
    form = {name: getattr(normalizers, name)().normalize_str for name in FORMS}
    for c in CHARACTERS:
        if any(form[name](c) != unicodedata2.normalize(name, c) for name in FORMS):
            result.add(c)
        order = unicodedata2.combining(c)
        if order and order != 220:
            text = f"a\u0315{c}" if order < 232 else f"a{c}\u0316"
            if form["NFD"](text) != unicodedata2.normalize("NFD", text):
                result.add(c)
        elif order == 220 and form["NFD"](f"a\u0315{c}") != unicodedata2.normalize("NFD", f"a\u0315{c}"):
            result.add(c)
        pair = unicodedata2.decomposition(c).split()
        if len(pair) == 2 and not pair[0].startswith("<"):
            text = "".join(chr(int(code, 16)) for code in pair)
            if form["NFC"](text) != unicodedata2.normalize("NFC", text):
                known = unicodedata.ucd_3_2_0.category(text[0]) != "Cn"
                result.add(text[1] if known else text[0])
    return result


def lowercase() -> dict[int, int]:
    """Mappings of `Lowercase`, all to one character, that Unicode 14 does not have."""
    normalizer = normalizers.Lowercase()
    changed = {c: normalizer.normalize_str(c) for c in CHARACTERS if normalizer.normalize_str(c) != c.lower()}
    assert all(len(lower) == 1 for lower in changed.values()), changed
    return {ord(c): ord(lower) for c, lower in changed.items()}


def scripts() -> list[tuple[int, int]]:
    """Where runs of one script begin, by `UnicodeScripts`: (first character, number of the script; 0 belongs to any)."""
    pre_tokenizer = pre_tokenizers.UnicodeScripts()

    def differ(a: str, b: str) -> bool:
        return len(pre_tokenizer.pre_tokenize_str(a + b)) == 2

    representatives = ["a"]
    runs: list[tuple[int, int]] = []
    for code in range(0x110000):
        character = chr(code)
        # A character of any script does not end a run, and is no piece where it begins the text.
        number = 0
        if not 0xD800 <= code < 0xE000 and pre_tokenizer.pre_tokenize_str(character):
            last = runs[-1][1] if runs else 0
            if last and not differ(representatives[last - 1], character):
                number = last
            else:
                number = next((n for n, r in enumerate(representatives, 1) if not differ(r, character)), 0)
            if not number:
                representatives.append(character)
                number = len(representatives)
        if not runs or runs[-1][1] != number:
            runs.append((code, number))
    return runs


def ranges(characters: set[str]) -> list[list[int]]:
    result: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


def newer(name: str, characters: set[str]) -> set[str]:
    """The members that a PCRE2 of Unicode 14 does not know."""
    if name == "word":
        return {c for c in characters if unicodedata.category(c) == "Cn"} | set("\u200c\u200d")
    if name == "w" or name.startswith("sc:"):
        return {c for c in characters if unicodedata.category(c) == "Cn"}
    letter = "N" if name == "digit" else name
    return {character for character in characters if not unicodedata.category(character).startswith(letter)}


def former(name: str, characters: set[str]) -> set[str]:
    return {c for c in CHARACTERS if unicodedata.category(c).startswith(name)} - characters


def dictionary(name: str, comment: str, entries: dict[str, str]) -> list[str]:
    lines = [f"    /// {comment}", f"    static let {name}: [String: String] = ["]
    for key, text in entries.items():
        rows, row = [], ""
        for item in text.replace("\\x", "\n\\x").replace("-\n", "-").split("\n")[1:]:
            if len(row) + len(item) > 92:
                rows.append(row)
                row = ""
            row += item
        rows.append(row)
        lines.append(f'        "{key}":')
        lines += [f'            {"+ " if index else ""}#"{row}"#' for index, row in enumerate(rows)]
        lines[-1] += ","
    return [*lines, "    ]"]


def escaped(characters: set[str]) -> str:
    return "".join(
        rf"\x{{{first:X}}}" + (rf"-\x{{{last:X}}}" if last > first else "") for first, last in ranges(characters)
    )


def main() -> None:
    assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
    classes = {name: matched(rf"\p{{{name}}}") for name in CLASSES}
    classes |= {f"sc:{name}": matched(rf"\p{{{name}}}") for name in SCRIPTS}
    classes |= {"space": matched(r"\s"), "w": matched(r"\w"), "word": words()}
    classes |= {"digit": isolated(pre_tokenizers.Digits(True)), "punctuation": isolated(pre_tokenizers.Punctuation())}
    classes |= {"mark": marks()}
    table = {name: ranges(characters) for name, characters in classes.items()}
    (HERE / "unicode-classes.json").write_text(json.dumps(table, separators=(",", ":")) + "\n")
    extra = {
        name: escaped(newer(name, characters))
        for name, characters in classes.items()
        if name not in ("space", "punctuation", "mark")
    }
    whole = {name: escaped(classes[name]) for name in ("punctuation", "mark")}
    pairs = ", ".join(f"0x{c:X}: 0x{lower:X}" for c, lower in lowercase().items())
    frozen = ", ".join(f"0x{first:X}...0x{last:X}" for first, last in ranges(inert()))
    lines = [
        "// In what the Unicode tables of Hugging Face `tokenizers` differ from those here; made by make_unicode_classes.py.",
        "//",
        "// A system's PCRE2 may know only Unicode 14, while Hugging Face `tokenizers` is newer. Without these ranges the same",
        "// text would be split differently there. On a newer PCRE2 they add nothing.",
        "",
        "/// What `tokenizers` knows of Unicode, where others know less or more.",
        "enum UnicodeSupplement {",
        *dictionary("ranges", "Class members that PCRE2 may not know yet, in the syntax of its classes.",
                    {name: text for name, text in extra.items() if text}),
        "",
        *dictionary("wholeClasses", "Classes of older versions of Unicode, whole.", whole),
        "",
        *dictionary("former", "Members in Unicode 14 that have left the class since.",
                    {name: text for name in CLASSES if (text := escaped(former(name, classes[name])))}),
        "",
        "    /// Small letters that Unicode 14 does not have, by their capitals.",
        "    static let lowercase: [UInt32: UInt32] = [",
        *wrapped(pairs),
        "    ]",
        "",
        "    /// Characters that the normalisation forms of `tokenizers` leave alone: their Unicode is older.",
        "    static let inertInNormalization: [ClosedRange<UInt32>] = [",
        *wrapped(frozen),
        "    ]",
        "",
        "    /// Where runs of one script begin for the pre-tokeniser `UnicodeScripts`: the first character, times 256, plus the",
        "    /// number of the script. Script 0 belongs to any.",
        "    static let scripts: [UInt32] = [",
        *wrapped(", ".join(f"0x{first << 8 | number:X}" for first, number in scripts())),
        "    ]",
        "}",
        "",
    ]
    SWIFT.write_text("\n".join(lines))


def wrapped(items: str) -> list[str]:
    lines, line = [], ""
    for item in items.split(", "):
        if len(line) + len(item) > 105:
            lines.append("        " + line.rstrip())
            line = ""
        line += item + ", "
    return [*lines, "        " + line.rstrip()]


if __name__ == "__main__":
    main()
