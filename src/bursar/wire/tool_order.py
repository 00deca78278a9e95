"""Tools in one order: sorted by name, and the keys of their JSON sorted too.

A provider's cache knows tools by their bytes, so the same ones in another order are others to it. The order
of an object's keys says nothing in JSON; that of an array may, and stays.
"""

from collections.abc import Sequence

import msgspec

from bursar.wire import raw_json as raw
from bursar.wire.anthropic_prompt import MARK_FIELD

# Where a tool's name may stand: in itself at Anthropic, in what its kind holds at OpenAI.
_KINDS = ("function", "custom")


def order_tools(tools: bytes) -> bytes:
    """Return tools in one order, whatever order they came in.

    Cache marks stay where they are, so that what ended with the last tool still does. Tools stay in the order
    in which they came where two have one name or one has none; where one that is not in the prompt (deferred)
    might get another's mark too.

    Args:
        tools: Raw JSON of the array.
    """
    elements = [raw.read_object(element, "tools") for element in raw.read_array(tools, "tools")]
    marks = [element.pop(MARK_FIELD, None) for element in elements]
    names = [_name(element) for element in elements]
    if None not in names and len(set(names)) == len(names) and not _may_misplace(elements, marks):
        elements = [element for _, element in sorted(zip(names, elements, strict=True), key=_first)]
    ordered = [_sorted(element) for element in elements]
    for number, mark in enumerate(marks):
        if mark is not None:
            ordered[number] = raw.set_member(ordered[number], MARK_FIELD, bytes(mark))
    return raw.join_array(ordered)


def _first(named: tuple[str | None, raw.RawObject]) -> str:
    return named[0] or ""


def _may_misplace(elements: Sequence[raw.RawObject], marks: Sequence[msgspec.Raw | None]) -> bool:
    """Whether a mark could come to stand on a tool that takes none."""
    marked = any(mark is not None for mark in marks)
    return marked and any("defer_loading" in element for element in elements)


def _name(tool: raw.RawObject) -> str | None:
    """Return a tool's name; None where it has none."""
    for kind in _KINDS:
        if kind in tool and raw.is_object(tool[kind]):
            tool = raw.read_object(tool[kind], kind)
            break
    name = tool.get("name")
    return raw.read_text(name, "name") if name is not None and raw.is_text(name) else None


def _sorted(members: raw.RawObject) -> bytes:
    return raw.join_object({name: _in_order(members[name]) for name in sorted(members)})


def _in_order(value: raw.Slice) -> bytes:
    """Write a value with the keys of all its objects sorted."""
    if raw.is_object(value):
        return _sorted(raw.read_object(value, ""))
    if raw.is_array(value):
        return raw.join_array([_in_order(element) for element in raw.read_array(value, "")])
    return bytes(value)
