"""Where two texts begin to differ, what kind of difference that is, and how much is alike all the same.

What is alike counts wherever it stands: a provider's cache cannot read what comes behind a difference, but
it could if the two texts were written in another order. Texts are compared clause by clause, in one pass.
"""

import re
from collections import Counter
from enum import StrEnum

import msgspec

_CLAUSE = re.compile(r"[^\n.;,!?]*[\n.;,!?]|[^\n.;,!?]+")
_BREAK = re.compile(r"[\s\"'<>(){}\[\],;=]")
_CLOCK = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}|\d{1,2}:\d{2}|\b1[5-9]\d{8}(?:\d{3})?\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b",
    re.IGNORECASE,
)
# An id is one word with a digit in it; what has none may be any word.
_IDENTIFIER = re.compile(r"(?=\S*\d)[\w:./#+-]+")
_SHOWN_CHARACTERS = 60
_WORD_CHARACTERS_MAX = 40


class Cause(StrEnum):
    """What makes a prompt differ from one that is almost like it."""

    CLOCK = "clock"  # A date or a time.
    IDENTIFIER = "identifier"  # An id, a hash, a number.
    TEXT = "text"  # Any other text, with much that is alike behind it.
    TAIL = "tail"  # Any other text, with what is alike before it.
    ORDER = "order"  # The same tools or blocks in another order.
    KEYS = "keys"  # The same JSON with its keys in another order.
    SET = "set"  # Tools or blocks that were added or taken away.
    SETTING = "setting"  # A field beside the prompt, such as `tool_choice`.
    CUT = "cut"  # Messages that were taken out of the history.
    INSERTED = "inserted"  # Messages that were put into it.


class TextDifference(msgspec.Struct, frozen=True):
    """How one text differs from another.

    Attributes:
        cause: What kind of difference it is.
        offset: Characters before it, from 0.
        before: What the earlier text has there, shortened.
        after: What the later text has there, shortened.
        common: Characters of the later text that the earlier one holds too, be it elsewhere.
        total: Characters of the later text.
    """

    cause: Cause
    offset: int
    before: str
    after: str
    common: int
    total: int


def compare_texts(before: str, after: str) -> TextDifference:
    """Compare two texts that are not equal."""
    start = _common_start(before, after)
    end = _common_end(before, after, start)
    total = len(after)
    around = start + end
    common = around if 2 * around >= total else max(around, _common_clauses(before, after))
    cause = Cause.KEYS if _equal_json(before, after) else _cause(before, after, start, end)
    if cause is Cause.KEYS:
        common = total
    elif cause is Cause.TEXT and 10 * start >= 9 * common:
        cause = Cause.TAIL
    return TextDifference(
        cause=cause,
        offset=start,
        before=_shown(before, start, len(before) - end),
        after=_shown(after, start, len(after) - end),
        common=common,
        total=total,
    )


def _common_start(before: str, after: str) -> int:
    """Return how many characters two texts share from the start; slices are compared at C's speed."""
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(before: str, after: str, start: int) -> int:
    """Return how many characters they share at the end, behind what they share at the start."""
    low, high = 0, min(len(before), len(after)) - start
    while low < high:
        middle = (low + high + 1) // 2
        if before[len(before) - middle : len(before) - low] == after[len(after) - middle : len(after) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_clauses(before: str, after: str) -> int:
    left = Counter(_CLAUSE.findall(before))
    common = 0
    for clause in _CLAUSE.findall(after):
        if left[clause] > 0:
            left[clause] -= 1
            common += len(clause)
    return common


def _equal_json(before: str, after: str) -> bool:
    """Whether both are JSON that says the same: a dict's order is none of its value."""
    if before[:1] not in {"{", "["} or before[:1] != after[:1]:
        return False
    try:
        return bool(msgspec.json.decode(before) == msgspec.json.decode(after))
    except (msgspec.DecodeError, RecursionError):
        return False


def _cause(before: str, after: str, start: int, end: int) -> Cause:
    """Tell what differs first by the words in which it does."""
    words = (
        _words(before, start, len(before) - end),
        _words(after, start, len(after) - end),
    )
    if all(_CLOCK.search(word) for word in words):
        return Cause.CLOCK
    if all(_IDENTIFIER.fullmatch(word.strip()) for word in words):
        return Cause.IDENTIFIER
    return Cause.TEXT


def _words(text: str, start: int, end: int) -> str:
    """Return the span with the rest of the words that it begins and ends in, and no more than a few words."""
    first = max(0, start - _WORD_CHARACTERS_MAX)
    breaks = [match.end() for match in _BREAK.finditer(text, first, start)]
    first = breaks[-1] if breaks else first
    last = min(max(end, start), start + _WORD_CHARACTERS_MAX)
    following = _BREAK.search(text, last, last + _WORD_CHARACTERS_MAX)
    return text[first : following.start() if following else min(len(text), last + _WORD_CHARACTERS_MAX)]


def _shown(text: str, start: int, end: int) -> str:
    """Return what stands in a span, with the rest of its words, shortened."""
    return shorten(_words(text, start, end))


def shorten(text: str) -> str:
    """Return as much of a text as shows what it is."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
