"""A value with parts left out: rows of arrays, members of objects, the ends of long strings.

Whatever is left out has a mark in its place, a string that begins with an ellipsis, so that the result is
still a value of the same build.
"""

import msgspec

from bursar.policy.tool_results.json_values import Number, Value

MARK = "…"


class Bounds(msgspec.Struct, frozen=True):
    """How much of a value to keep; None keeps all.

    Attributes:
        rows_max: Elements of each array.
        members_max: Members of each object.
        field_chars_max: Characters of each string.
    """

    rows_max: int | None = None
    members_max: int | None = None
    field_chars_max: int | None = None


class Tally:
    """What was left out so far, not counting what lay inside of it."""

    def __init__(self) -> None:
        self.rows = 0
        self.members = 0
        self.chars = 0

    def describe(self) -> str:
        """Say in words what was left out; empty for nothing."""
        counts = ((self.rows, "row"), (self.members, "member"), (self.chars, "character"))
        return ", ".join(f"{count:,} {noun}{'s' if count > 1 else ''}" for count, noun in counts if count)


def trim(value: Value, bounds: Bounds, tally: Tally) -> Value:
    """Return as much of a value as the bounds allow, and count the rest."""
    if isinstance(value, str):
        return value if isinstance(value, Number) else _trim_string(value, bounds.field_chars_max, tally)
    if isinstance(value, list):
        return _trim_array(value, bounds, tally)
    if isinstance(value, dict):
        return _trim_object(value, bounds, tally)
    return value


def _trim_string(text: str, chars_max: int | None, tally: Tally) -> str:
    if chars_max is None or len(text) <= chars_max:
        return text
    cut = len(text) - chars_max
    marked = f"{text[:chars_max]}{MARK} {cut:,} more characters"
    # A mark that is longer than what it stands for helps nobody.
    if len(marked) >= len(text):
        return text
    tally.chars += cut
    return marked


def _trim_array(rows: list[Value], bounds: Bounds, tally: Tally) -> list[Value]:
    kept = rows if bounds.rows_max is None else rows[: bounds.rows_max]
    trimmed = [trim(row, bounds, tally) for row in kept]
    cut = len(rows) - len(kept)
    if cut:
        tally.rows += cut
        trimmed.append(f"{MARK} {cut:,} more of {len(rows):,}")
    return trimmed


def _trim_object(members: dict[str, Value], bounds: Bounds, tally: Tally) -> dict[str, Value]:
    names = list(members) if bounds.members_max is None else list(members)[: bounds.members_max]
    trimmed = {name: trim(members[name], bounds, tally) for name in names}
    cut = len(members) - len(names)
    if cut:
        tally.members += cut
        trimmed[free_name(trimmed)] = f"{cut:,} more members"
    return trimmed


def free_name(members: dict[str, Value]) -> str:
    """Return the name for a mark in an object: an ellipsis, or as many as it takes to be a new name."""
    name = MARK
    while name in members:
        name += MARK
    return name
