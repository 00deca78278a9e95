"""Text that ends in JSON: a sentence and then JSON, several documents, JSON Lines.

From its first document on, such a text holds nothing but documents, each on lines of its own. JSON with
text after it is left alone: it may be part of a source file, whose every byte counts.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bursar.policy.tool_results.json_values import NoValue, Value, read_document, read_value
from bursar.policy.tool_results.plain_text import clean

# Where the first document begins: after a colon on the first line, or at the start of a line. An array of
# numbers gains nothing, and would be taken for a time in brackets, with which lines of logs begin.
_START = re.compile(r'(?:\A[^\n{\[]*: ?|^)(?=\{\s*["}]|\[\s*[\[{"])', re.MULTILINE)
_GAP = re.compile(r"[ \t\r\n]*")

Read = Callable[[str, int], tuple[list[Value], int]]


@dataclass(frozen=True, slots=True)
class Run:
    """A text that ends in documents.

    Attributes:
        prefix: What stands before them.
        documents: At least one.
        gaps: The blanks after each document; all but the last hold a line break.
    """

    prefix: str
    documents: Sequence[Value]
    gaps: Sequence[str]


def find_run(text: str, read: Read) -> Run:
    """Take a text apart.

    Args:
        text: Any text.
        read: Reads what begins at a place, and says where it ends. What it reads as several documents is
            taken to stand on consecutive lines.

    Raises:
        NoValue: The text does not end in documents.
    """
    start = _START.search(text)
    if start is None:
        raise NoValue
    place = start.end()
    documents: list[Value] = []
    gaps: list[str] = []
    while place < len(text):
        if gaps and "\n" not in gaps[-1]:
            raise NoValue
        read_here, place = read(text, place)
        documents.extend(read_here)
        gaps.extend("\n" for _ in read_here[1:])
        gap = _GAP.match(text, place)
        gaps.append(gap[0] if gap else "")
        place += len(gaps[-1])
    return Run(text[: start.end()], documents, gaps)


def read_run(text: str) -> Run:
    """Take a text apart that is JSON, or that ends in JSON; terminal escape codes around it aside.

    Raises:
        NoValue: It is neither, or an object in it repeats a key.
    """
    with suppress(NoValue):
        return Run("", [read_document(text)], [""])
    cleaned = clean(text)
    if cleaned != text:
        with suppress(NoValue):
            return Run("", [read_document(cleaned)], [""])
    return find_run(cleaned, _read_one)


def _read_one(text: str, start: int) -> tuple[list[Value], int]:
    value, end = read_value(text, start)
    return [value], end


def join_run(run: Run, documents: Sequence[str]) -> str:
    """Put a text together again, its documents written anew."""
    return run.prefix + "".join(
        [part for document, gap in zip(documents, run.gaps, strict=True) for part in (document, gap)]
    )
