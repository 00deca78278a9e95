"""Setting and taking away cache marks in raw bytes, whatever the dialect's field for them is called."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bursar.domain.prompt import Mark, Place, Prompt, Section
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Edits


@dataclass(frozen=True, slots=True)
class MarkField:
    """How a dialect writes a mark: the member's name, and its value."""

    name: str
    write: Callable[[Mark], bytes]


def splice_elements(
    array: bytes, ends: Sequence[int] | None, numbers: Iterable[int], write: Callable[[int, bytes], bytes]
) -> bytes:
    """Write some elements of an array of objects anew; every other byte stays.

    Args:
        array: Its raw JSON.
        ends: Where each element ends in it; None where that is not known.
        numbers: The elements to write.
        write: Gives an element's new bytes, from its number and its bytes.

    Raises:
        LookupError: There is no such element.
    """
    if ends is None:
        ends = raw.element_ends(array)
    parts: list[bytes] = []
    done = 0
    for number in sorted(numbers):
        element = raw.element(array, ends, number)
        parts += (array[done : ends[number] - len(element)], write(number, element))
        done = ends[number]
    parts.append(array[done:])
    return b"".join(parts)


def mark_content(content: raw.Slice, marks: Mapping[int, Mark | None], field: MarkField) -> bytes:
    """Mark a message's content, given as a string or an array of blocks.

    Args:
        content: Raw content. A string becomes an array of one text block where a mark is set.
        marks: Marks by block number; None takes one away.
        field: How the dialect writes them.

    Raises:
        ValueError: There is no such block.
    """
    if raw.is_text(content):
        if set(marks) != {0}:
            raise ValueError(f"text has no block {max(marks)}")
        mark = marks[0]
        if mark is None:
            return bytes(content)
        return b'[{"type":"text","text":' + bytes(content) + b"," + _member(field, mark) + b"}]"
    if not raw.is_array(content):
        raise ValueError("there is no block to mark")
    blocks: list[raw.Slice] = [*raw.read_array(content, "content")]
    for number, mark in marks.items():
        if number >= len(blocks):
            raise ValueError(f"there is no block {number}")
        blocks[number] = mark_block(blocks[number], mark, field)
    return raw.join_array(blocks)


def mark_block(block: raw.Slice, mark: Mark | None, field: MarkField) -> bytes:
    """Mark one block, or take its mark away; marks of blocks nested in its content go in either case."""
    marked = raw.set_member(block, field.name, None if mark is None else field.write(mark))
    if marked.count(field.name.encode()) > (mark is not None):
        marked = _clear_nested(marked, field)
    return marked


def marks_by_section(
    marks: Mapping[Place, Mark | None],
) -> dict[Section, dict[int, dict[int, Mark | None]]]:
    """Group marks by section and piece: `result[section][piece][block]`."""
    grouped: dict[Section, dict[int, dict[int, Mark | None]]] = {}
    for place, mark in marks.items():
        grouped.setdefault(place.section, {}).setdefault(place.piece, {})[place.block] = mark
    return grouped


def check_marks(prompt: Prompt, edits: Edits, fields: Mapping[Section, str]) -> None:
    """Check that every mark to set stands on a block that takes one.

    Args:
        prompt: The prompt as it was read.
        edits: What is to change. Marks in a field that they replace are not looked at, since the prompt
            does not show it.
        fields: The top-level field of each section.

    Raises:
        ValueError: There is no such block, or it takes no mark.
    """
    pieces = {Section.TOOLS: prompt.tools, Section.SYSTEM: prompt.system, Section.MESSAGES: prompt.messages}
    for place, mark in edits.marks.items():
        if mark is None or fields[place.section] in edits.fields:
            continue
        section = pieces[place.section]
        if place.piece >= len(section) or place.block >= len(section[place.piece].blocks):
            raise ValueError(f"there is no {place}")
        if not section[place.piece].blocks[place.block].markable:
            raise ValueError(f"{place} takes no mark")


def _member(field: MarkField, mark: Mark) -> bytes:
    return raw.encode(field.name) + b":" + field.write(mark)


def _clear_nested(block: bytes, field: MarkField) -> bytes:
    members: dict[str, raw.Slice] = {**raw.read_object(block, "")}
    content = members.get("content")
    if content is None or not raw.is_array(content):
        return block
    parts = raw.read_array(content, "content")
    members["content"] = raw.join_array(
        [raw.set_member(part, field.name, None) if raw.is_object(part) else part for part in parts]
    )
    return raw.join_object(members)
