"""Prompts with known outcomes, from JSONL: `{"prompt": …, MODEL: true | false | score, …}`, one a line.

A score is a number from 0 (wrong) to 1 (right). Other fields may stand beside; which are read is said by
`Wanted`.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import msgspec
import orjson

from bursar.errors import BadLine, CallerMistake
from bursar.policy.routing.curve import Outcome

PROMPT = "prompt"

_LINE_BYTES_MAX = 32 << 20
_NAMED_MAX = 8


class Wanted(msgspec.Struct, frozen=True):
    """Which fields of an outcome are read.

    Attributes:
        models: The weak model and the strong one. None for the two fields that hold an outcome on every line;
            the one that is right more often is the strong one.
        answer_field: Holds the weak model's answer; empty where no model is to see it.
        group_field: Tells what belongs together, such as a subject; empty for nothing.
    """

    models: tuple[str, str] | None = None
    answer_field: str = ""
    group_field: str = ""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One prompt and what came of it.

    Attributes:
        prompt: Its text.
        answer: The weak model's answer; None where none is read.
        group: What it belongs to. Rows of one group are never both learned from and judged by; without a
            field for it, equal prompts are a group.
        outcome: How good both models were.
    """

    prompt: str
    answer: str | None
    group: str
    outcome: Outcome


class Outcomes(msgspec.Struct, frozen=True):
    """A file of outcomes.

    Attributes:
        weak: Name of the cheap model.
        strong: Name of the dear model.
        wanted: What was read of each line.
        rows: Its lines.
        sha256: SHA-256 of the file's bytes, in hexadecimal.
    """

    weak: str
    strong: str
    wanted: Wanted
    rows: Sequence[Row]
    sha256: str


def read_outcomes(file: str, wanted: Wanted) -> Outcomes:
    """Read a file of outcomes. Blank lines are passed over.

    Args:
        file: Its path.
        wanted: What is read of each line.

    Raises:
        CallerMistake: It cannot be read, or nothing can be learned from it.
        BadLine: A line is no outcome; nothing of the file is used then.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise CallerMistake(f"{file}: cannot be read ({error.strerror})") from None
    lines = [(number, _read_line(line, file, number)) for number, line in _lines(content)]
    if not lines:
        raise CallerMistake(f"{file}: is empty; one line is an outcome, such as {_EXAMPLE}")
    weak, strong = _named_models(lines, file, wanted.models) if wanted.models else _find_models(lines, file)
    rows = [_row(_Line(fields, file, number), (weak, strong), wanted) for number, fields in lines]
    _check_classes(rows, file, weak, strong)
    return Outcomes(weak, strong, wanted, rows, sha256(content).hexdigest())


_EXAMPLE = '{"prompt": "…", "small": false, "large": true}'
_Fields = Mapping[str, Any]
_Numbered = Sequence[tuple[int, _Fields]]


class _Line(msgspec.Struct, frozen=True):
    fields: _Fields
    file: str
    number: int

    def refuse(self, message: str) -> BadLine:
        return BadLine(message, file=self.file, line=self.number)

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise self.refuse(f'"{name}" is to be a text; {_found(self.fields, name)}')
        return value

    def outcome(self, model: str) -> float:
        value = _outcome(self.fields.get(model))
        if value is None:
            raise self.refuse(
                f'"{model}" is to be true, false or a score from 0 to 1; {_found(self.fields, model)}'
            )
        return value


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _read_line(line: bytes, file: str, number: int) -> _Fields:
    if len(line) > _LINE_BYTES_MAX:
        raise BadLine(f"is longer than {_LINE_BYTES_MAX >> 20} MiB", file=file, line=number)
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"is no JSON: {error}; write {_EXAMPLE}", file=file, line=number) from None
    if not isinstance(value, dict):
        raise BadLine(f"is no JSON object; write {_EXAMPLE}", file=file, line=number)
    return cast("_Fields", value)


def _named_models(lines: _Numbered, file: str, models: tuple[str, str]) -> tuple[str, str]:
    """Return the named models; each is on some line at least, or its name is taken to be wrong."""
    for model in models:
        if not any(model in fields for _, fields in lines):
            raise CallerMistake(
                f'{file}: no line holds an outcome of "{model}"; name models that it holds: '
                f"{_quoted(_outcome_fields(lines[:1])) or 'its first line has none'}"
            )
    return models


def _find_models(lines: _Numbered, file: str) -> tuple[str, str]:
    found = _outcome_fields(lines)
    if len(found) != 2:
        raise CallerMistake(
            f"{file}: two fields are to hold an outcome (true, false or a score) on every line; "
            f"{len(found) or 'none'} do{': ' + _quoted(found) if found else ''}; "
            f"say which with --models WEAK,STRONG"
        )
    first, second = found
    totals = [sum(float(fields[name]) for _, fields in lines) for name in found]
    return (first, second) if totals[0] <= totals[1] else (second, first)


def _outcome_fields(lines: _Numbered) -> list[str]:
    """Return the fields that hold an outcome on every line."""
    names = [name for name in lines[0][1] if name != PROMPT]
    return [name for name in names if all(_outcome(fields.get(name)) is not None for _, fields in lines)]


def _outcome(value: object) -> float | None:
    """Return how good an answer was, from 0 to 1; None where the value does not say so."""
    return float(value) if isinstance(value, bool | int | float) and 0 <= value <= 1 else None


def _row(line: _Line, models: tuple[str, str], wanted: Wanted) -> Row:
    prompt = line.text(PROMPT)
    if not prompt.strip():
        raise line.refuse('"prompt" is empty; leave the line out')
    weak, strong = models
    group = line.fields.get(wanted.group_field) if wanted.group_field else prompt
    if not isinstance(group, str | int) or isinstance(group, bool):
        field = wanted.group_field
        raise line.refuse(f'"{field}" is to be a text or a whole number; {_found(line.fields, field)}')
    answer = line.text(wanted.answer_field) if wanted.answer_field else None
    return Row(prompt, answer, str(group), Outcome(line.outcome(weak), line.outcome(strong)))


def _check_classes(rows: Sequence[Row], file: str, weak: str, strong: str) -> None:
    """Refuse outcomes from which nothing can be learned."""
    gains = {row.outcome.strong - row.outcome.weak for row in rows}
    if max(gains) <= 0:
        raise CallerMistake(
            f'{file}: on none of {len(rows):,} lines is "{strong}" better than "{weak}", so there is nothing '
            f'to learn; ask "{weak}" always, or add prompts that need "{strong}"'
        )
    if len(gains) == 1:
        raise CallerMistake(
            f'{file}: on all {len(rows):,} lines "{strong}" is as much better than "{weak}", so there is '
            f'nothing to learn; ask "{strong}" always, or add prompts on which "{weak}" does as well'
        )


def _found(fields: _Fields, name: str) -> str:
    if name not in fields:
        return f"the line has no such field, but {_quoted(list(fields)) or 'none at all'}"
    match fields[name]:
        case None:
            return "it is null"
        case str():
            return "it is a text"
        case bool():
            return "it is true or false"
        case int() | float():
            return "it is another number"
        case _:
            return "it is an array or an object"


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_NAMED_MAX])
    return shown + (", …" if len(names) > _NAMED_MAX else "")
