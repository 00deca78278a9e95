"""What is seen of a text when its difficulty is judged: words and measures, never what it means.

Of a long text only the beginning and the end are read, where the task stands as a rule, so that the time it
takes is bounded.
"""

import re
from math import log1p

import msgspec

EXCERPT_CHARS_MAX = 1_600
"""Characters read of a text, half of them from its beginning and half from its end."""

# A run of letters, a run of digits, or one character of anything else: a sign, or a letter of a script that
# puts no blanks between words (kana, ideographs, Thai, Lao, Burmese, Khmer). Nothing here can backtrack.
_TOKENS = re.compile(r"[^\W\d_぀-ヿ㐀-鿿豈-﫿฀-໿က-႟ក-៿]{1,40}|\d{1,40}|\S")
# The same for a text of ASCII alone, which takes half the time.
_ASCII_TOKENS = re.compile(r"[a-z]{1,40}|[0-9]{1,40}|\S")
_CAPITALS = re.compile("[A-ZÀ-ÞΑ-ΩА-Я]")

_MATHS = "=+*^<>/\\√∑∫≤≥≠×÷"
_CODE = "{}()[];_`"
_MONEY = "$€£¥%"

MEASURES = (
    "characters",
    "words",
    "numbers",
    "sentences",
    "questions",
    "word_length",
    "distinct_words",
    "maths_signs",
    "code_signs",
    "money_signs",
    "commas",
    "lines",
    "beyond_ascii",
    "capitals",
)
"""What is measured. Counts are as log(1 + n), the others means or shares; characters count the whole text."""


class Text(msgspec.Struct, frozen=True, gc=False):
    """A text as it is seen.

    Attributes:
        sample: What was read of it.
        chars: Characters of the whole text.
        tokens: Words, numbers and signs in order, in lower case, digits as zeros.
        measures: One number for each of `MEASURES`.
    """

    sample: str
    chars: int
    tokens: list[str]
    measures: tuple[float, ...]


def read_text(text: str) -> Text:
    """Look at a text. Takes well under a millisecond, however long it is."""
    sample = excerpt(text)
    ascii_only = sample.isascii()
    pattern = _ASCII_TOKENS if ascii_only else _TOKENS
    found: list[str] = pattern.findall(sample.lower())
    # Which digits a number has says next to nothing; that it is one, and how long, does.
    tokens = ["0" * len(token) if token.isdecimal() else token for token in found]
    words = [token for token in tokens if token.isalpha()]
    numbers = len([token for token in tokens if token[0] == "0"])
    chars, word_count = max(len(sample), 1), max(len(words), 1)
    measures = (
        log1p(len(text)),
        log1p(len(words)),
        log1p(numbers),
        log1p(sample.count(". ") + sample.count(".\n") + sample.endswith(".")),
        log1p(sample.count("?")),
        sum(map(len, words)) / word_count,
        len(set(words)) / word_count,
        log1p(sum(map(sample.count, _MATHS))),
        log1p(sum(map(sample.count, _CODE))),
        log1p(sum(map(sample.count, _MONEY))),
        log1p(sample.count(",")),
        log1p(sample.count("\n")),
        0.0 if ascii_only else 1 - len(sample.encode("ascii", "ignore")) / chars,
        len(_CAPITALS.findall(sample)) / chars,
    )
    return Text(sample, len(text), tokens, measures)


def excerpt(text: str) -> str:
    """Return what is read of a text: all of it, or its beginning and its end with a line break between."""
    if len(text) <= EXCERPT_CHARS_MAX:
        return text
    half = EXCERPT_CHARS_MAX // 2
    return f"{text[:half]}\n{text[-half:]}"
