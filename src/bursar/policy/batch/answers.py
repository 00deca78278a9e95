"""Taking the answer for several items apart: what is good is kept, what is not is named item by item."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from bursar.domain.json_schema import JsonSchema

Json = Any


class FaultKind(StrEnum):
    """Why an item has no answer."""

    MISSING = "missing"  # The model left it out.
    DUPLICATED = "duplicated"  # It was answered twice: which one is meant is unknown.
    MALFORMED = "malformed"  # Its answer is not as the schema says.
    UNREADABLE = "unreadable"  # Nothing of the whole answer can be read.
    CUT = "cut"  # The answer ended at the output limit before it.
    REFUSED = "refused"  # The model refused.
    REJECTED = "rejected"  # The provider would not take the request.
    FAILED = "failed"  # The provider failed at it.
    UNSEEN = "unseen"  # It was sent, and perhaps paid for, but no answer was seen.
    EXPIRED = "expired"  # The provider did not come to it in time.
    CANCELLED = "cancelled"  # Its job was cancelled.


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an item has no answer, with words for a person."""

    kind: FaultKind
    reason: str


@dataclass(slots=True)
class Findings:
    """What an answer holds.

    Attributes:
        answers: Good answers by item name.
        faults: The other items of the call.
        extras: Answers to nothing that was asked.
    """

    answers: dict[str, Json] = field(default_factory=dict[str, Json])
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    extras: int = 0


def read_answers(text: str, names: Sequence[str], schema: JsonSchema, *, is_cut: bool) -> Findings:
    """Take an answer apart: one JSON object, whose members are the items' numbers and answers.

    What surrounds the JSON, such as a fence of Markdown, is not looked at. An answer under an item's own name
    counts as one under its number, where that cannot be another one's. Of an answer that breaks off, the
    items before the break are kept: they are paid for.

    Args:
        text: What the model said.
        names: The items that were asked about, in the order of their numbers.
        schema: What each answer must be.
        is_cut: Whether the answer ended at its output limit.
    """
    asked = _names_by_key(names)
    found = Findings()
    times: dict[str, int] = {}
    members = list(_members(text, asked))
    if len(names) == 1 and not any(key in asked for key, _ in members):
        # A model that was asked about one item may leave its number out.
        value = _whole(text)
        if value is not None and schema.mismatch(value) is None:
            members = [("1", value)]
    for key, answer in members:
        name = asked.get(key)
        if name is None:
            found.extras += 1
            continue
        times[name] = times.get(name, 0) + 1
        _judge(found, name, answer, schema)
    for name, count in times.items():
        if count > 1:
            found.answers.pop(name, None)
            found.faults[name] = Fault(FaultKind.DUPLICATED, f"the model answered it {count} times")
    absent = _absence(is_cut=is_cut, readable=bool(members))
    found.faults.update({name: absent for name in names if name not in times})
    return found


def _names_by_key(names: Sequence[str]) -> Mapping[str, str]:
    """Return the items by the keys that an answer may have: numbers, and names where none is a number."""
    numbers = {str(number): name for number, name in enumerate(names, start=1)}
    return numbers if any(name.isdecimal() for name in names) else {name: name for name in names} | numbers


def _absence(*, is_cut: bool, readable: bool) -> Fault:
    if is_cut:
        return Fault(FaultKind.CUT, "the answer reached its output limit before it")
    if readable:
        return Fault(FaultKind.MISSING, "the model left it out")
    return Fault(FaultKind.UNREADABLE, "the answer is not the JSON that was asked for")


def _judge(found: Findings, name: str, answer: Json, schema: JsonSchema) -> None:
    mismatch = schema.mismatch(answer)
    if mismatch is not None:
        found.faults[name] = Fault(FaultKind.MALFORMED, str(mismatch))
    elif not _is_writable(answer):
        found.faults[name] = Fault(FaultKind.MALFORMED, "it holds text or numbers that JSON cannot keep")
    else:
        found.answers[name] = answer


def _is_writable(answer: Json) -> bool:
    """Whether an answer can be written to a file: lone surrogates and endless integers cannot."""
    try:
        orjson.dumps(answer)
    except orjson.JSONEncodeError:
        return False
    return True


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _members(text: str, asked: Collection[str]) -> Iterator[tuple[str, Json]]:
    """Yield the members of a text's object, up to where it can be read.

    They are read one by one: a name that is there twice would be lost in a dictionary.
    """
    at = text.find("{") + 1
    while at > 0:
        try:
            key, at = _key(text, at)
            if key not in asked and _opens_answers(text, at, asked):
                # A model may put all answers below one more name.
                at += 1
                continue
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield key, value


def _opens_answers(text: str, at: int, asked: Collection[str]) -> bool:
    """Whether a value is an object that begins with an item's answer."""
    try:
        return text[at : at + 1] == "{" and _key(text, at + 1)[0] in asked
    except (ValueError, RecursionError):
        return False


def _key(text: str, at: int) -> tuple[str, int]:
    """Return a member's name, and where its value begins.

    Raises:
        ValueError: There is none.
    """
    key, at = _DECODER.raw_decode(text, _skip(text, at, " \t\r\n,"))
    return str(key), _skip(text, at, " \t\r\n:")


def _whole(text: str) -> Json:
    """Return the first object of a text; None for none."""
    try:
        return _DECODER.raw_decode(text, text.find("{"))[0] if "{" in text else None
    except (ValueError, RecursionError):
        return None


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
