"""A part of a tool result, with a notice of what is missing and how to get it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bursar.policy.tool_results.codec import encode_run
from bursar.policy.tool_results.documents import Run
from bursar.policy.tool_results.json_values import Value, escape_surrogates, quote
from bursar.policy.tool_results.trimming import MARK, Bounds, Tally, free_name, trim

# A character that is written as an escape, in text that is code or broken JSON.
_WRITTEN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_WRITTEN_ESCAPE_CHARS = 6
# Of an excerpt, the head gets three quarters: texts say what they are at their start.
_HEAD_QUARTERS = 3


class Part(NamedTuple):
    """What is left of a result.

    Attributes:
        text: What is sent.
        left_out: What is missing, in words; empty where nothing is.
    """

    text: str
    left_out: str


def cut_run(run: Run, bounds: Bounds, handle: str) -> Part:
    """Cut the documents that a text ends in; what stands before them stays.

    Raises:
        NoValue: A document is nested too deeply.
    """
    tally = Tally()
    if len(run.documents) > 1:
        rows = _trim_rows(run.documents, bounds, tally)
        left_out = tally.describe()
        gaps = [*run.gaps[: len(rows) - 1], run.gaps[-1]]
        if left_out:
            rows.append(_say(left_out, handle))
            gaps.insert(-1, "\n")
        return Part(encode_run(Run(run.prefix, rows, gaps)), left_out)
    document = run.documents[0]
    is_array = isinstance(document, list)
    part = _trim_rows(document, bounds, tally) if is_array else trim(document, bounds, tally)
    left_out = tally.describe()
    if left_out:
        part = _add_notice(part, _say(left_out, handle))
    return Part(encode_run(Run(run.prefix, [part], run.gaps)), left_out)


def excerpt(text: str, chars: int, handle: str) -> Part:
    """Return head and tail of a text, of `chars` characters together at most, cut between lines or words."""
    head_chars = chars * _HEAD_QUARTERS // 4
    head = text[: _start_of_break(text, head_chars)].rstrip()
    tail = text[_end_of_break(text, len(text) - (chars - head_chars)) :].lstrip()
    left_out = f"{len(text) - len(head) - len(tail):,} characters"
    return Part("\n".join([part for part in (head, _say(left_out, handle), tail) if part]), left_out)


def notice(handle: str) -> Part:
    """Say of a JSON result only that it was there."""
    left_out = "everything"
    return Part(escape_surrogates(quote(_say(left_out, handle))), left_out)


def _say(left_out: str, handle: str) -> str:
    return f"{MARK} left out: {left_out}; full result: {handle}"


def _trim_rows(rows: Sequence[Value], bounds: Bounds, tally: Tally) -> list[Value]:
    """Trim the rows of the result itself, whose mark is the notice."""
    kept = rows if bounds.rows_max is None else rows[: bounds.rows_max]
    tally.rows += len(rows) - len(kept)
    return [trim(row, bounds, tally) for row in kept]


def _add_notice(part: Value, text: str) -> Value:
    if isinstance(part, dict):
        return {**part, free_name(part): text}
    if isinstance(part, list):
        return [*part, text]
    return f"{part} {text}"


def _start_of_break(text: str, place: int) -> int:
    """Return the last place up to `place` where a line ends, or a word, or else no escape is torn."""
    for sign in ("\n", " "):
        found = text.rfind(sign, place - place // 4, place)
        if found >= 0:
            return found
    return _avoid_escape(text, place)[0]


def _end_of_break(text: str, place: int) -> int:
    """Return the first place from `place` on where a line begins, or a word, or else no escape is torn."""
    for sign in ("\n", " "):
        found = text.find(sign, place, place + (len(text) - place) // 4)
        if found >= 0:
            return found + 1
    return _avoid_escape(text, place)[1]


def _avoid_escape(text: str, place: int) -> tuple[int, int]:
    """Return the nearest places around `place` that are not inside of a written escape."""
    # A backslash may itself be escaped: a run of them is read from its start.
    start = max(place - _WRITTEN_ESCAPE_CHARS, 0)
    while start and text[start - 1] == "\\":
        start -= 1
    for match in _WRITTEN_ESCAPE.finditer(text, start, place + _WRITTEN_ESCAPE_CHARS):
        if match.start() < place < match.end():
            return match.span()
    return place, place
