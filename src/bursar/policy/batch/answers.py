"""Taking the answer for several items apart: what is good is kept, what is not is named item by item."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import orjson

from bursar.domain.json_schema import JsonSchema
from bursar.policy.batch.prompt import ANSWER, ANSWERS, ID

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
    """Take an answer apart.

    What surrounds the JSON, such as a fence of Markdown, is not looked at. Of an answer that breaks off, the
    items before the break are kept: they are paid for.

    Args:
        text: What the model said.
        names: The items that were asked about.
        schema: What each answer must be.
        is_cut: Whether the answer ended at its output limit.
    """
    found = Findings()
    elements = list(_elements(text))
    asked = set(names)
    times: dict[str, int] = {}
    for element in elements:
        name = _name(element)
        if name not in asked:
            found.extras += 1
            continue
        times[name] = times.get(name, 0) + 1
        _judge(found, name, element, schema)
    for name, count in times.items():
        if count > 1:
            found.answers.pop(name, None)
            found.faults[name] = Fault(FaultKind.DUPLICATED, f"the model answered it {count} times")
    absent = _absence(is_cut=is_cut, readable=bool(elements))
    found.faults.update({name: absent for name in names if name not in times})
    return found


def _absence(*, is_cut: bool, readable: bool) -> Fault:
    if is_cut:
        return Fault(FaultKind.CUT, "the answer reached its output limit before it")
    if readable:
        return Fault(FaultKind.MISSING, "the model left it out")
    return Fault(FaultKind.UNREADABLE, "the answer is not the JSON that was asked for")


def _judge(found: Findings, name: str, element: Mapping[str, Json], schema: JsonSchema) -> None:
    if ANSWER not in element:
        found.faults[name] = Fault(FaultKind.MALFORMED, f'it has no "{ANSWER}"')
        return
    answer = element[ANSWER]
    mismatch = schema.mismatch(answer)
    if mismatch is not None:
        found.faults[name] = Fault(FaultKind.MALFORMED, str(mismatch))
    elif not _is_writable(answer):
        found.faults[name] = Fault(FaultKind.MALFORMED, "it holds text or numbers that JSON cannot keep")
    else:
        found.answers[name] = answer


def _name(element: Mapping[str, Json]) -> str | None:
    name = element.get(ID)
    return str(name) if isinstance(name, str | int) and not isinstance(name, bool) else None


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


def _elements(text: str) -> Iterator[Mapping[str, Json]]:
    """Yield the answers of a text, up to where it can be read."""
    start = text.find(f'"{ANSWERS}"')
    at = text.find("[", max(start, 0))
    if at < 0:
        yield from _lone(text)
        return
    at += 1
    while True:
        at = _skip(text, at, " \t\r\n,")
        try:
            element, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        # What is no object can be nobody's answer; it counts as one to nothing that was asked.
        yield cast("Mapping[str, Json]", element) if isinstance(element, dict) else {}


def _lone(text: str) -> Iterator[Mapping[str, Json]]:
    """Yield the one answer of a text without an array, which a model that had one item may leave out."""
    start = text.find("{")
    try:
        element: Json = _DECODER.raw_decode(text, start)[0] if start >= 0 else None
    except (ValueError, RecursionError):
        return
    if isinstance(element, dict) and ID in element:
        yield cast("Mapping[str, Json]", element)


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
