"""Lossy limits on a tool result, where an operator asks for them.

A result within its limits stays whole, in its lossless form. What exceeds them loses the ends of long
fields, then the last rows of its arrays, then more of both, down to a notice that something was there. The
result says in words what is missing and how to get it, and is JSON, a table or text as before.
"""

from collections.abc import Callable, Iterator

import msgspec

from bursar.policy.tool_results.codec import encode, encode_run
from bursar.policy.tool_results.documents import Run, read_run
from bursar.policy.tool_results.json_values import NoValue, Value, has_surrogates
from bursar.policy.tool_results.parts import Part, cut_run, excerpt, notice
from bursar.policy.tool_results.trimming import Bounds

# What is left of a field, and of an object, before only a notice remains.
_FIELD_CHARS_MIN = 16
_MEMBERS_MAX = 64


class Limits(msgspec.Struct, frozen=True):
    """What an operator allows a tool's results.

    Attributes:
        tokens_max: Tokens of a result, its notice included.
        rows_max: Elements of each array, also in a result within its tokens; None for as many as fit.
        field_chars_max: Characters of each string in a result beyond its tokens.
    """

    tokens_max: int = 1_000
    rows_max: int | None = None
    field_chars_max: int = 500


def limit(text: str, limits: Limits, count: Callable[[str], int], handle: str) -> Part:
    """Leave out what exceeds the limits.

    Args:
        text: A tool result as it came.
        limits: What is allowed.
        count: Returns the tokens of a text, or an estimate; more text is taken to have more of them.
        handle: How to get the full result, such as `GET /v1/bursar/results/…`.

    Returns:
        The result. It is within `tokens_max` unless a notice with the handle alone is not. It is shorter
        than the lossless form, or that form itself.
    """
    if has_surrogates(text):
        return Part(text, "")
    try:
        run = read_run(text)
        # It says whether the documents are nested too deeply to look into.
        whole = encode_run(run)
    except NoValue:
        run = None
        whole = encode(text)
    within = count(whole) <= limits.tokens_max
    if within and (limits.rows_max is None or run is None):
        return Part(whole, "")
    cutter = _Cutter(limits, count, handle)
    if run is None:
        part = cutter.cut_text(whole)
    else:
        part = cutter.cut_rows(run) if within else cutter.cut_run(run, whole)
    return part if len(part.text) < len(whole) else Part(whole, "")


class _Cutter:
    """Finds the most of a result that fits.

    Args:
        limits: What is allowed.
        count: Returns the tokens of a text.
        handle: How to get the full result.
    """

    def __init__(self, limits: Limits, count: Callable[[str], int], handle: str) -> None:
        self._limits = limits
        self._count = count
        self._handle = handle

    def cut_rows(self, run: Run) -> Part:
        """Cut a result that is within its tokens to the rows that it may have."""
        return cut_run(run, Bounds(rows_max=self._limits.rows_max), self._handle)

    def cut_run(self, run: Run, whole: str) -> Part:
        """Cut a result that ends in JSON to its tokens; `whole` is its lossless form."""
        limits = self._limits
        bounds = Bounds(limits.rows_max, None, limits.field_chars_max)
        part = cut_run(run, bounds, self._handle)
        if self._fits(part):
            return part
        longest = max(len(run.documents), *map(_longest_array, run.documents))
        rows = _find_largest(
            min(longest, limits.rows_max or longest),
            lambda rows: self._fits(cut_run(run, Bounds(rows, None, limits.field_chars_max), self._handle)),
        )
        if rows:
            return cut_run(run, Bounds(rows, None, limits.field_chars_max), self._handle)
        for tighter in _tighten(limits.field_chars_max):
            part = cut_run(run, tighter, self._handle)
            if self._fits(part):
                return part
        # It may be the text before the JSON that is too long.
        return self.cut_text(whole) if run.prefix else notice(self._handle)

    def cut_text(self, text: str) -> Part:
        """Cut a text to its tokens."""
        chars = _find_largest(
            max(len(text) - 1, 0), lambda chars: self._fits(excerpt(text, chars, self._handle))
        )
        return excerpt(text, chars, self._handle)

    def _fits(self, part: Part) -> bool:
        return self._count(part.text) <= self._limits.tokens_max


def _tighten(field_chars: int) -> Iterator[Bounds]:
    """Yield ever less of one row: shorter fields first, then fewer of them."""
    while field_chars > _FIELD_CHARS_MIN:
        field_chars = max(field_chars // 2, _FIELD_CHARS_MIN)
        yield Bounds(1, None, field_chars)
    members = _MEMBERS_MAX
    while members:
        yield Bounds(1, members, field_chars)
        members //= 2


def _find_largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to `most` that fits, or 0, looking at small ones before large ones."""
    fitting, failing = 0, 1
    while failing <= most and fits(failing):
        fitting, failing = failing, failing * 2
    failing = min(failing, most + 1)
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        if fits(middle):
            fitting = middle
        else:
            failing = middle
    return fitting


def _longest_array(value: Value) -> int:
    if isinstance(value, list):
        return max(len(value), *map(_longest_array, value), 0)
    if isinstance(value, dict):
        return max(map(_longest_array, value.values()), default=0)
    return 0
