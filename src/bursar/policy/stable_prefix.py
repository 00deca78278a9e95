"""Stable prefixes: what of an agent's instructions moves behind what is cached, so that prompts begin alike.

A line that changes within a thread keeps everything behind it from being read, the history too; moving it
always pays. One that differs between threads only costs the instructions behind it, once a thread, while
it is paid in full with each call where it stands at the end; so it moves only where much stands behind it.
Lines are taken out whole. What cannot stand alone stays, and so does everything behind it, since nothing
behind it would begin alike.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.view.volatile_lines import Line, Lines, Seen
from bursar.wire.system_texts import Spot, SystemText

NOTE = "These lines belong to the instructions at the beginning:"
"""Introduces the lines that were moved; stands in a line of its own."""

# A thread has about eight calls: so many times is a moved line paid at the input price, against once that
# what stands behind it is written at little more than that.
_CALLS_OF_THREAD = 8


class Parting(msgspec.Struct, frozen=True):
    """Instructions without what varies in them.

    Attributes:
        texts: What the texts become that change, by spot; an empty one is to be left out.
        note: What was taken out, for the end of the prompt.
    """

    texts: Mapping[Spot, str]
    note: str


def choose_lines(lines: Lines, seen: Mapping[bytes, Seen]) -> frozenset[bytes]:
    """Choose the lines that a new thread has behind its prompt.

    Args:
        lines: The lines that may vary, in order.
        seen: What was seen of each, by name.

    Returns:
        Their names.
    """
    chosen: list[bytes] = []
    for line in lines:
        known = seen[line.name]
        if not known.varies:
            continue
        if not line.movable:
            break
        if known.within or line.behind >= _CALLS_OF_THREAD * (line.end - line.start + len(NOTE)):
            chosen.append(line.name)
    return frozenset(chosen)


def add_changed(moved: frozenset[bytes], lines: Lines, changed: frozenset[bytes]) -> frozenset[bytes]:
    """Add the lines that have just changed within a thread to those that it has behind its prompt.

    Args:
        moved: Names of the lines that are there.
        lines: The lines that may vary, in order.
        changed: Names of those that changed.
    """
    added: list[bytes] = []
    for line in lines:
        if line.name in changed and line.name not in moved:
            if not line.movable:
                break
            added.append(line.name)
    return moved.union(added) if added else moved


def part(texts: Sequence[SystemText], lines: Lines, moved: frozenset[bytes]) -> Parting | None:
    """Take lines out of instructions.

    Args:
        texts: The texts, in order.
        lines: Their lines that may vary, in order.
        moved: Names of those to take out.

    Returns:
        What comes of it; None where none of them is there, or where nothing would remain: of all texts, or
        of one that the client's cache mark stands on.
    """
    taken = [line for line in lines if line.name in moved]
    if not taken:
        return None
    remaining: dict[Spot, str] = {}
    left = False
    said: list[str] = []
    for each in texts:
        out = [line for line in taken if line.spot == each.spot]
        text = _without(each.text, out)
        said += [each.text[line.start : line.end].removesuffix("\n") for line in out]
        blank = not text or text.isspace()
        if out:
            if blank and each.is_marked:
                return None
            remaining[each.spot] = "" if blank else text
        left = left or not blank
    return Parting(remaining, "\n".join([NOTE, *said])) if left else None


def _without(text: str, lines: Sequence[Line]) -> str:
    parts: list[str] = []
    done = 0
    for line in lines:
        parts.append(text[done : line.start])
        done = line.end
    parts.append(text[done:])
    return "".join(parts)
