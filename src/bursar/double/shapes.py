"""Shapes that JSON values are checked against, written as tables.

A shape says what a value must be; a `Wording` says it in the provider's own words and names places in its
own way. The first fault ends the check, as at the providers.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from bursar.double.refused import Refusal, Refused

Json = Any
"""A decoded JSON value."""

JsonObject = dict[str, Any]
"""A decoded JSON object."""


class Wording(Protocol):
    """How one provider names places and words faults."""

    def member(self, place: str, name: str) -> str:
        """Name a member of the object at `place`."""
        ...

    def item(self, place: str, index: int) -> str:
        """Name an item of the array at `place`."""
        ...

    def branch(self, place: str, tag: str) -> str:
        """Name the branch that a value's tag chose at `place`."""
        ...

    def wrong_type(self, place: str, expected: str, value: Json) -> Refusal:
        """Word a value of the wrong JSON type; `expected` is `string`, `integer`, `array`, …"""
        ...

    def missing(self, place: str) -> Refusal:
        """Word a required member that is absent."""
        ...

    def unknown(self, place: str) -> Refusal:
        """Word a member that is not known."""
        ...

    def not_one_of(self, place: str, allowed: Sequence[str], value: Json) -> Refusal:
        """Word a value outside of a list."""
        ...

    def bad_tag(self, place: str, tags: Sequence[str], value: Json) -> Refusal:
        """Word an object whose `type` is not known."""
        ...

    def out_of_range(self, place: str, bound: int, value: Json, *, below: bool) -> Refusal:
        """Word a number below its lower, or above its upper bound."""
        ...

    def too_short(self, place: str, items_min: int) -> Refusal:
        """Word an array with too few items."""
        ...

    def bad_pattern(self, place: str, pattern: str, value: str) -> Refusal:
        """Word a string that does not match its pattern."""
        ...

    def bad_schema(self, place: str) -> Refusal:
        """Word a JSON schema that is none."""
        ...


class Shape(ABC):
    """What a value must be."""

    @abstractmethod
    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Raise `Refused` for the first fault."""


class Anything(Shape):
    """Any value."""

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Accept it."""


@dataclass(frozen=True, slots=True)
class Text(Shape):
    """A string; with a pattern, one that matches it as a whole."""

    pattern: str = ""

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, str):
            raise Refused(wording.wrong_type(place, "string", value))
        if self.pattern and re.fullmatch(self.pattern, value) is None:
            raise Refused(wording.bad_pattern(place, f"^{self.pattern}$", value))


class Flag(Shape):
    """A boolean."""

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, bool):
            raise Refused(wording.wrong_type(place, "boolean", value))


@dataclass(frozen=True, slots=True)
class Number(Shape):
    """A number, whole or not, within bounds that belong to the range."""

    low: int | None = None
    high: int | None = None
    whole: bool = False

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        # A float without a fraction (64.0) is not taken for an integer by either provider.
        right = isinstance(value, int) if self.whole else isinstance(value, int | float)
        if not right or isinstance(value, bool):
            raise Refused(wording.wrong_type(place, "integer" if self.whole else "number", value))
        if self.low is not None and value < self.low:
            raise Refused(wording.out_of_range(place, self.low, value, below=True))
        if self.high is not None and value > self.high:
            raise Refused(wording.out_of_range(place, self.high, value, below=False))


@dataclass(frozen=True, slots=True)
class OneOf(Shape):
    """One of a list of strings."""

    allowed: tuple[str, ...]

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, str) or value not in self.allowed:
            raise Refused(wording.not_one_of(place, self.allowed, value))


@dataclass(frozen=True, slots=True)
class Both(Shape):
    """One shape, and then another."""

    first: Shape
    second: Shape

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        self.first.check(value, place, wording)
        self.second.check(value, place, wording)


@dataclass(frozen=True, slots=True)
class Array(Shape):
    """An array whose items have one shape."""

    of: Shape
    items_min: int = 0

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, list):
            raise Refused(wording.wrong_type(place, "array", value))
        items = cast("list[Json]", value)
        if len(items) < self.items_min:
            raise Refused(wording.too_short(place, self.items_min))
        for index, item in enumerate(items):
            self.of.check(item, wording.item(place, index), wording)


@dataclass(frozen=True, slots=True)
class Nullable(Shape):
    """Null, or another shape."""

    of: Shape

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if value is not None:
            self.of.check(value, place, wording)


@dataclass(frozen=True, slots=True)
class TextOr(Shape):
    """A string, or an array."""

    items: Array
    text: Text = field(default_factory=Text)

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if isinstance(value, list):
            self.items.check(cast("list[Json]", value), place, wording)
        elif isinstance(value, str):
            self.text.check(value, place, wording)
        else:
            raise Refused(wording.wrong_type(place, "string or array", value))


@dataclass(frozen=True, slots=True)
class TextOrObject(Shape):
    """One of some strings, or an object."""

    text: OneOf
    record: Shape

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        (self.record if isinstance(value, dict) else self.text).check(value, place, wording)


@dataclass(frozen=True, slots=True)
class Record(Shape):
    """An object.

    Attributes:
        required: Members that must be there.
        optional: Members that may.
        open: Whether others may, too.
    """

    required: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    optional: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    open: bool = False

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, dict):
            raise Refused(wording.wrong_type(place, "object", value))
        members = cast("JsonObject", value)
        for name in self.required:
            if name not in members:
                raise Refused(wording.missing(wording.member(place, name)))
        for name, member in members.items():
            shape = self.required.get(name) or self.optional.get(name)
            if shape is not None:
                shape.check(member, wording.member(place, name), wording)
            elif not self.open:
                raise Refused(wording.unknown(wording.member(place, name)))


@dataclass(frozen=True, slots=True)
class Tagged(Shape):
    """An object whose shape is chosen by one of its members.

    Attributes:
        shapes: By the tag's value.
        tag: The member's name.
        default: The tag where the member is absent or null; empty where it is required.
        prefixes: Shapes of tags that carry a date after the name, by their beginning.
    """

    shapes: Mapping[str, Shape]
    tag: str = "type"
    default: str = ""
    prefixes: Mapping[str, Shape] = field(default_factory=dict[str, Shape])

    def check(self, value: Json, place: str, wording: Wording) -> None:
        """Check it."""
        if not isinstance(value, dict):
            raise Refused(wording.wrong_type(place, "object", value))
        tag = cast("JsonObject", value).get(self.tag)
        if tag is None:
            if not self.default:
                raise Refused(wording.missing(wording.member(place, self.tag)))
            tag = self.default
        shape = self.shapes.get(tag) if isinstance(tag, str) else None
        if shape is None and isinstance(tag, str):
            shape = next((s for prefix, s in self.prefixes.items() if tag.startswith(prefix)), None)
        if shape is None:
            raise Refused(wording.bad_tag(place, tuple(self.shapes), tag))
        shape.check(cast("Json", value), wording.branch(place, tag), wording)
