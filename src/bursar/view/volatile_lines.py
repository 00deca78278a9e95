"""Lines of an agent's instructions that differ from call to call though all before them is alike.

A clock or an id in front keeps a provider's cache from reading anything behind it. What in a line may be
one is masked; a line is named by its masked text and all masked text before it. So lines that differ in
nothing but such words have one name, and one that was seen with different words varies. Only digests are
kept of what was seen.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec
import xxhash

from bursar.domain.bounded import BoundedDict
from bursar.domain.prompt import digest

# A word with a digit in it may be a time, an id or a count. A date may have words without one.
_BREAK = r"\s\"'<>(){}\[\],;=|"
_WORD = re.compile(
    rf"(?<![^{_BREAK}])[^{_BREAK}\d]*+\d[^{_BREAK}]*+"
    r"|\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
    r"|\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b"
    r"|\b(?:am|pm|AM|PM)\b"
)

# Few lines have one; looking for these signs is far cheaper than looking for the words.
_DIGIT = re.compile(r"\d")
_WEEKDAY = "day"

# What holds more such lines is a table of data, and not a text with a few words that change.
_LINES_MAX = 256

# A longer line holds more than what varies.
_LINE_CHARS_MAX = 300

# A line of JSON, of a table or of a list in code means nothing away from its neighbours.
_STRUCTURE_STARTS = ('"', "{", "}", "[", "]", "|")
_STRUCTURE_ENDS = ("{", "[", ",", "\\")
_FENCES = ("```", "~~~")


Spot = tuple[int, int]
"""Where a text stands in a prompt's system part: its piece, and the block there."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line that may vary.

    Attributes:
        name: Names it, whatever it varies in, and all that stands before it.
        value: Names its text.
        spot: The text that it stands in,
        start: where it begins there, in characters,
        end: and where the next line begins, or the text ends.
        behind: Characters that come behind it in the system part.
        movable: Whether it says as much elsewhere.
    """

    name: bytes
    value: bytes
    spot: Spot
    start: int
    end: int
    behind: int
    movable: bool


Lines = tuple[Line, ...]


def find_lines(texts: Iterable[tuple[Spot, str]]) -> Lines:
    """Find the lines of a prompt's system part that may vary, in order.

    Args:
        texts: Its texts, in order.
    """
    found: list[Line] = []
    name, before = xxhash.xxh3_128(), 0
    for spot, text in texts:
        loose = text.lstrip()[:1] not in {"{", "["}
        start, fenced = 0, False
        for line in text.split("\n"):
            end = min(start + len(line) + 1, len(text))
            bare = line.strip()
            fenced ^= bare.startswith(_FENCES)
            masked = _WORD.sub("\0", line) if _DIGIT.search(line) or _WEEKDAY in line else line
            name.update(masked.encode("utf-8", "surrogatepass") + b"\n")
            if masked != line:
                value = digest(line.encode("utf-8", "surrogatepass"))
                movable = loose and not fenced and _is_prose(bare)
                found.append(Line(name.digest(), value, spot, start, end, before + end, movable))
            start = end
        name.update(b"\0")
        before += len(text)
    return _count_behind(found, before) if len(found) <= _LINES_MAX else ()


def _is_prose(line: str) -> bool:
    return (
        len(line) <= _LINE_CHARS_MAX
        and not line.startswith(_STRUCTURE_STARTS)
        and not line.endswith(_STRUCTURE_ENDS)
        # A tag that another line closes.
        and not (line.startswith("<") and "</" not in line)
    )


def _count_behind(lines: Iterable[Line], total: int) -> Lines:
    """Turn what comes up to each line's end into what comes behind it."""
    return tuple([msgspec.structs.replace(line, behind=total - line.behind) for line in lines])


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What was seen of a line.

    Attributes:
        value: Its text, when it was seen first.
        varies: Whether another was seen since,
        within: be it within one thread.
    """

    value: bytes
    varies: bool = False
    within: bool = False


class VolatileLines:
    """What was seen of agents' lines, bounded.

    Args:
        lines_max: Lines remembered; one takes about 0.25 KB.
    """

    def __init__(self, lines_max: int = 100_000) -> None:
        self._seen: BoundedDict[bytes, Seen] = BoundedDict(lines_max)

    def see(self, who: bytes, lines: Lines, changed: frozenset[bytes]) -> Mapping[bytes, Seen]:
        """Learn from a call's lines.

        Args:
            who: Names the agent and its tenant.
            lines: The lines.
            changed: Names of those that the thread's last call had in other words.

        Returns:
            What was seen of them, this call included, by name.
        """
        found: dict[bytes, Seen] = {}
        for line in lines:
            key = who + line.name
            seen = self._seen.get(key)
            within = line.name in changed
            if seen is None:
                seen = Seen(line.value, within, within)
                self._seen.keep(key, seen)
            elif (within and not seen.within) or (not seen.varies and seen.value != line.value):
                seen = Seen(seen.value, varies=True, within=within or seen.within)
                self._seen.keep(key, seen)
            found[line.name] = seen
        return found


def changed_lines(before: Lines, after: Lines) -> frozenset[bytes]:
    """Return the names of the lines that two prompts have in different words."""
    values = {line.name: line.value for line in before}
    return frozenset([line.name for line in after if values.get(line.name, line.value) != line.value])
