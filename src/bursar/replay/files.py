"""Files of recorded traffic: read once, line by line, each line by its own form.

What cannot be read is named and skipped. A file without a single line that can be read is a mistake.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from bursar.errors import BadLine, BadRequest, CallerMistake
from bursar.replay.calls import RecordedCall
from bursar.replay.traffic import FailedCall, read_logged_call
from bursar.replay.transcripts import Conversation, read_conversation

_LINE_BYTES_MAX = 64 * 1024 * 1024

Item = Conversation | RecordedCall

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class Skipped:
    """What was left out. Mutable, for one replay.

    Attributes:
        lines: Lines that cannot be read.
        empty_calls: Calls of transcripts without an input.
        failed_calls: Calls of logs that the provider answered with an error.
    """

    lines: int = 0
    empty_calls: int = 0
    failed_calls: int = 0


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told while files are read.

    Attributes:
        skipped: Counts what is left out.
        on_bad_line: Told of each line that cannot be read.
        on_bytes: Told how many bytes were read.
    """

    skipped: Skipped
    on_bad_line: Callable[[BadLine], None]
    on_bytes: Callable[[int], None]


def open_recordings(files: Sequence[str], watching: Watching) -> list[Iterator[Item]]:
    """Open files, and read each up to its first valid line, so that a wrong one is told of at once.

    Args:
        files: Paths.
        watching: Who is told.

    Returns:
        What the lines of each file hold, in their order.

    Raises:
        CallerMistake: A file cannot be read, or has no valid line.
    """
    return [_from_first(file, _items(file, watching)) for file in files]


def _from_first(file: str, items: Iterator[Item]) -> Iterator[Item]:
    first = next(items, None)
    if first is None:
        raise CallerMistake(
            f"{file}: holds no line that can be replayed; one line is a transcript or a logged call, as JSON"
        )

    def all_of_it() -> Iterator[Item]:
        yield first
        yield from items

    return all_of_it()


def _items(file: str, watching: Watching) -> Iterator[Item]:
    try:
        with Path(file).open("rb") as opened:
            for number, line in enumerate(_lines(opened), start=1):
                watching.on_bytes(len(line))
                item = _read(line, file, number, watching)
                if item is not None:
                    yield item
    except OSError as error:
        raise CallerMistake(f"{file}: cannot be read ({error.strerror})") from None


def _lines(opened: BinaryIO) -> Iterator[bytes]:
    """Yield lines; of one that is too long, enough to be told so."""
    while line := opened.readline(_LINE_BYTES_MAX + 1):
        yield line
        while len(line) > _LINE_BYTES_MAX and not line.endswith(b"\n"):
            line = opened.readline(_LINE_BYTES_MAX + 1)


def _read(line: bytes, file: str, number: int, watching: Watching) -> Item | None:
    """Read one line; None where there is nothing to replay in it."""
    skipped = watching.skipped
    if not line.strip():
        return None
    try:
        item = _read_valid(line, f"{file}:{number}")
    except FailedCall:
        skipped.failed_calls += 1
        return None
    except BadRequest as error:
        skipped.lines += 1
        watching.on_bad_line(BadLine(str(error), file=file, line=number))
        return None
    if isinstance(item, Conversation):
        skipped.empty_calls += item.empty_calls
    return item


def _read_valid(line: bytes, place: str) -> Item:
    if len(line) > _LINE_BYTES_MAX:
        raise BadRequest(f"is longer than {_LINE_BYTES_MAX >> 20} MiB")
    try:
        fields = _FIELDS.decode(line)
    except msgspec.ValidationError:
        raise BadRequest("is no JSON object") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"is no JSON: {error}") from None
    if "request" in fields:
        return read_logged_call(line, place)
    if "messages" in fields or "calls" in fields:
        return read_conversation(line, fields, place)
    raise BadRequest(
        "holds neither a transcript (`messages` or `calls`) nor a logged call (`request` and `response`)"
    )
