"""Where the long texts of an agent's prompts begin alike.

An agent that sends instructions, document and question as one text shares the beginning with its earlier
calls, but neither its prompts nor their blocks are equal. So each text is named at points along it, by
digests of all that comes before. Where a point is hangs on the text before it only, so that texts which
begin alike have the same points up to where they part. No text is kept.
"""

from collections.abc import Sequence

import msgspec
import xxhash

from bursar.domain.bounded import BoundedDict
from bursar.view.rhythm import Prior, Return, Rhythm

# Points lie a sixteenth apart, so that on average 3 % of what two texts share is missed.
_STEPS_PER_LENGTH = 16
_STEP_BYTES_MIN = 512
_FIRST_BYTES = 1_024


class Beginning(msgspec.Struct, frozen=True, gc=False):
    """The beginning of a text that earlier calls had too.

    Attributes:
        end_bytes: Where it ends in the text's UTF-8: between two characters, at the end of a line or of a
            word where there is one.
        name: Names it, and what stands before the text.
    """

    end_bytes: int
    name: bytes


class Cut(msgspec.Struct, frozen=True, gc=False):
    """How the texts at a prompt's front are sent: one of them split at the end of a beginning, or all whole.

    Attributes:
        block: Number of the block that is split.
        beginning: The beginning at whose end it is.
    """

    block: int
    beginning: Beginning


WHOLE = Cut(-1, Beginning(0, b""))
"""All texts are sent in one block."""


class Beginnings:
    """Beginnings of texts, how often new threads bring them, and where texts were split, bounded.

    Args:
        points_max: Points remembered, at about 0.1 KB. A text of 100 KB has 56.
        fronts_max: Fronts of prompts remembered, and as many texts, at about 0.1 KB each.
        cuts_max: Beginnings remembered at which a text was split.
    """

    def __init__(self, points_max: int = 200_000, fronts_max: int = 100_000, cuts_max: int = 20_000) -> None:
        self._seen: BoundedDict[bytes, float] = BoundedDict(points_max)
        self._texts: BoundedDict[bytes, bool] = BoundedDict(fronts_max)
        self._fronts: BoundedDict[bytes, Cut] = BoundedDict(fronts_max)
        self._cut: BoundedDict[bytes, bool] = BoundedDict(cuts_max)
        self._rhythm = Rhythm(cuts_max, cuts_max)

    def cut(self, front: bytes) -> Cut | None:
        """Return how the texts at a prompt's front are sent; None where that is not decided."""
        cut = self._fronts.get(front)
        if cut is not None:
            # What goes on longest is not to be forgotten first.
            self._fronts.keep(front, cut)
        return cut

    def decide(self, front: bytes, cut: Cut) -> None:
        """Remember how the texts at a prompt's front are sent."""
        self._fronts.keep(front, cut)
        if cut is not WHOLE:
            self._cut.keep(cut.beginning.name, value=True)

    def is_new(self, name: bytes) -> bool:
        """Whether a text was not here before, by a name for it and what stands before it; then it was."""
        is_new = name not in self._texts
        self._texts.keep(name, value=True)
        return is_new

    def learn(self, before: bytes, text: bytes, at_s: float) -> tuple[Beginning, ...]:
        """Learn from a text that is new (`is_new`), and find what it begins with.

        Args:
            before: Names what stands before the text, and whose it is.
            text: It, in UTF-8.
            at_s: When it came.

        Returns:
            The longest beginning that an earlier text had, and after it the longest at which one was split,
            if that is another; nothing where it begins like none.
        """
        points = _points(before, text)
        shared: list[Beginning] = []
        for point in points:
            # What a text shares with none before it, it shares with none behind it.
            if point.name not in self._seen:
                break
            shared.append(point)
        found = tuple(dict.fromkeys((*shared[-1:], *self._last_cut(shared))))
        for beginning in found:
            if not self._rhythm.arrivals(beginning.name):
                # Who brought it first was not counted then, since all texts begin in some way.
                self._rhythm.arrive(beginning.name, beginning.name, self._seen[beginning.name])
            self.arrive(beginning.name, at_s)
        for point in points:
            self._seen.keep(point.name, at_s)
        return found

    def arrive(self, name: bytes, at_s: float) -> None:
        """Count a new thread that brings a beginning."""
        self._rhythm.arrive(name, name, at_s)

    def refresh(self, name: bytes, at_s: float) -> None:
        """Take note that a call of a known thread prolongs the life of a beginning's entry."""
        self._rhythm.refresh(name, at_s)

    def expect(self, name: bytes, prior: Prior, at_s: float) -> Return:
        """Return how likely a new thread brings a beginning."""
        return self._rhythm.expect(name, prior, at_s)

    def _last_cut(self, shared: Sequence[Beginning]) -> Sequence[Beginning]:
        """Return the longest of some beginnings at which a text was split, if there is one."""
        return [point for point in shared if point.name in self._cut][-1:]


def _points(before: bytes, text: bytes) -> list[Beginning]:
    """Name the beginnings of a text that may be looked for, the shorter first; its rest is never blank."""
    points: list[Beginning] = []
    last = len(text.rstrip()) - 1
    view, name = memoryview(text), xxhash.xxh3_128(before)
    at, done = _FIRST_BYTES, 0
    while at <= last:
        step = max(_STEP_BYTES_MIN, at // _STEPS_PER_LENGTH)
        end = _break(text, at, at + step // 2)
        if end > last:
            break
        name.update(view[done:end])
        points.append(Beginning(end, name.digest()))
        done = end
        at += step
    return points


def _break(text: bytes, start: int, stop: int) -> int:
    """Return the first end of a line in a span of a text, or of a word, or of a character.

    Tokenizers take line breaks together, and a blank with the word behind it; so no token is cut.
    """
    line = text.find(b"\n", start, stop)
    if line >= 0:
        end = line + 1
        while end < stop and text[end : end + 1] in {b"\n", b"\r"}:
            end += 1
        return end
    word = text.find(b" ", start, stop)
    if word >= 0:
        return word
    while start < len(text) and text[start] & 0xC0 == 0x80:
        start += 1
    return start
