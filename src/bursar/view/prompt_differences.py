"""Where a prompt departs from an earlier one, and how much of it that one held all the same.

A provider's cache reads a prompt as far as it begins like an earlier one. So two things count: the first
difference, and what is alike behind it, which could have been read had the difference not stood before it.
Prompts are compared block by block, by digest; texts are looked at only where blocks differ.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bursar.domain.layout import Layout
from bursar.domain.prompt import Block, Place, Section
from bursar.view.text_differences import Cause, TextDifference, compare_texts, shorten

# So many pairs of blocks are read and compared as texts for one prompt; more make its picture no clearer.
_TEXTS_MAX = 64


class Texts(Protocol):
    """The texts of one prompt."""

    def text(self, place: Place) -> str:
        """Return a block's text, or JSON where it is no text; empty where it cannot be had."""
        ...

    def tool_name(self, tool: int) -> str:
        """Return a tool's name; empty where it cannot be had."""
        ...


class Sight(msgspec.Struct, frozen=True):
    """A prompt to compare.

    Attributes:
        layout: Its blocks.
        texts: Its texts; asked for only where blocks differ.
    """

    layout: Layout
    texts: Texts


class Difference(msgspec.Struct, frozen=True):
    """The first difference between two prompts, in prompt order.

    Attributes:
        section: The section in which it is.
        place: The later prompt's block that differs; None where a setting does.
        cause: What kind of difference it is.
        offset: Characters of the block before it; 0 where the block as a whole differs.
        before: What the earlier prompt has there, shortened.
        after: What the later one has there, shortened.
    """

    section: Section
    place: Place | None
    cause: Cause
    offset: int
    before: str
    after: str


class Comparison(msgspec.Struct, frozen=True):
    """What a prompt has of an earlier one.

    Attributes:
        prefix_tokens: Tokens before the first difference.
        shared_tokens: All tokens that the earlier prompt holds too, those before the difference included.
        difference: The first difference; None where one prompt begins with the other.
    """

    prefix_tokens: int
    shared_tokens: int
    difference: Difference | None


def compare_prompts(old: Sight, new: Sight, *, one_thread: bool) -> Comparison:
    """Compare a prompt with an earlier one, in time proportional to both.

    Args:
        old: The earlier one.
        new: The later one.
        one_thread: Whether both belong to one thread, so that messages alike are the same messages. Else
            they count up to the first that differs.
    """
    start = _start(old.layout, new.layout)
    if start is None:
        common = _common(old.layout.blocks, new.layout.blocks, old.layout.system_end)
        tokens = _tokens_before(new.layout, common)
        return Comparison(tokens, tokens, None)
    section, block, is_setting = start
    # Tools count as a whole: where one of them differs, the cache knows none.
    prefix_tokens = 0 if section is Section.TOOLS else _tokens_before(new.layout, block)
    comparing = _Comparing(old, new, one_thread=one_thread)
    difference = comparing.describe(section, block, is_setting=is_setting)
    shared_tokens = prefix_tokens + comparing.shared_tokens(0 if section is Section.TOOLS else block)
    return Comparison(prefix_tokens, shared_tokens, difference)


def _start(old: Layout, new: Layout) -> tuple[Section, int, bool] | None:
    """Return the section and block at which two prompts part, and whether a setting makes them."""
    before, after = old.prompt, new.prompt
    if before.tools_salt != after.tools_salt:
        return Section.TOOLS, 0, True
    common = _common(old.blocks[: old.tools_end], new.blocks[: new.tools_end], 0)
    if not common == old.tools_end == new.tools_end:
        return Section.TOOLS, common, False
    if before.system_salt != after.system_salt:
        return Section.SYSTEM, common, True
    common = _common(old.blocks[: old.system_end], new.blocks[: new.system_end], common)
    if not common == old.system_end == new.system_end:
        return Section.SYSTEM, common, False
    if before.messages_salt != after.messages_salt:
        return Section.MESSAGES, common, True
    common = _common(old.blocks, new.blocks, common)
    if common == min(len(old.blocks), len(new.blocks)):
        return None
    return Section.MESSAGES, common, False


def _common(old: Sequence[Block], new: Sequence[Block], start: int) -> int:
    """Return how many blocks are alike from the start; those before `start` are known to be."""
    end = min(len(old), len(new))
    number = start
    while number < end and old[number].digest == new[number].digest:
        number += 1
    return number


def _tokens_before(layout: Layout, block: int) -> int:
    return layout.ends[block - 1] if block else 0


class _Comparing:
    """Compares what lies behind the first difference.

    Args:
        old: The earlier prompt.
        new: The later one.
        one_thread: Whether they belong to one thread.
    """

    def __init__(self, old: Sight, new: Sight, *, one_thread: bool) -> None:
        self._old = old
        self._new = new
        self._one_thread = one_thread
        self._texts_left = _TEXTS_MAX
        self._pairs: dict[tuple[bytes, bytes], TextDifference] = {}
        self._old_tools: dict[str, int] | None = None

    def describe(self, section: Section, block: int, *, is_setting: bool) -> Difference:
        """Describe the first difference, which is at a block of the later prompt or just behind its last."""
        if is_setting:
            return _setting(section, self._old.layout, self._new.layout)
        place = _place(self._new.layout, block, section)
        shape = self._shape(section, block)
        if shape is not None or place is None:
            before = self._shown(self._old, section, block)
            return Difference(
                section, place, shape or Cause.SET, 0, before, self._shown(self._new, section, block)
            )
        partner = self._partner(block)
        if partner is None:
            return Difference(section, place, Cause.SET, 0, "", self._shown(self._new, section, block))
        found = self._compare(partner, block)
        if found is None:
            return Difference(section, place, Cause.TEXT, 0, "", "")
        return Difference(section, place, found.cause, found.offset, found.before, found.after)

    def shared_tokens(self, block: int) -> int:
        """Return how many tokens from a block of the later prompt on the earlier one holds too."""
        layout = self._new.layout
        left = Counter([b.digest for b in self._old.layout.blocks[block:]])
        shared = 0
        for number in range(block, len(layout.blocks)):
            name = layout.blocks[number].digest
            tokens = layout.ends[number] - _tokens_before(layout, number)
            if left[name] > 0 and (self._one_thread or self._alike(number)):
                left[name] -= 1
                shared += tokens
                continue
            shared += self._part(number, tokens)
            if number >= layout.system_end and not self._one_thread:
                # Of two threads, what comes behind is alike by chance only.
                break
        return shared

    def _alike(self, number: int) -> bool:
        """Whether a block of the front is alike somewhere, or a message's at its very place."""
        old, new = self._old.layout, self._new.layout
        if number < new.system_end:
            return True
        there = number - new.system_end + old.system_end
        return there < len(old.blocks) and old.blocks[there].digest == new.blocks[number].digest

    def _part(self, number: int, tokens: int) -> int:
        """Return how many of a block's tokens its partner holds too, if that is at least half of them."""
        partner = self._partner(number)
        found = self._compare(partner, number) if partner is not None else None
        if found is None or 2 * found.common < found.total:
            return 0
        return tokens * found.common // max(found.total, 1)

    def _compare(self, partner: int, number: int) -> TextDifference | None:
        """Compare two blocks as texts; None where their texts cannot be had, or too many were compared."""
        pair = (self._old.layout.blocks[partner].digest, self._new.layout.blocks[number].digest)
        found = self._pairs.get(pair)
        if found is None and self._texts_left:
            self._texts_left -= 1
            before = self._old.texts.text(self._old.layout.places[partner])
            after = self._new.texts.text(self._new.layout.places[number])
            if before and after and before != after:
                found = self._pairs[pair] = compare_texts(before, after)
        return found

    def _partner(self, number: int) -> int | None:
        """Return the earlier prompt's block that stands for a block of the later one, or None.

        A tool's is the one of its name; any other's is the one at its place.
        """
        old, new = self._old.layout, self._new.layout
        if number < new.tools_end:
            if self._old_tools is None:
                self._old_tools = {self._old.texts.tool_name(n): n for n in range(len(old.prompt.tools))}
            tool = self._old_tools.get(self._new.texts.tool_name(new.places[number].piece))
            return None if tool is None else _first_block(old, tool)
        if number < new.system_end:
            there, end = number - new.tools_end + old.tools_end, old.system_end
        else:
            there, end = number - new.system_end + old.system_end, len(old.blocks)
        return there if there < end else None

    def _shape(self, section: Section, block: int) -> Cause | None:
        """Tell a difference in which blocks there are, and in which order, from one in what they hold."""
        old, new = self._old.layout, self._new.layout
        before = _digests(old, section)
        after = _digests(new, section)
        if section is not Section.MESSAGES and sorted(before) == sorted(after):
            return Cause.ORDER
        at = block - {Section.TOOLS: 0, Section.SYSTEM: new.tools_end}.get(section, new.system_end)
        if at >= min(len(before), len(after)):
            return Cause.SET
        if after[at] in before[at:]:
            return Cause.CUT if section is Section.MESSAGES else Cause.SET
        if before[at] in after[at:]:
            return Cause.INSERTED if section is Section.MESSAGES else Cause.SET
        return None

    def _shown(self, sight: Sight, section: Section, block: int) -> str:
        place = _place(sight.layout, block, section)
        if place is None:
            return ""
        if section is Section.TOOLS:
            return shorten(sight.texts.tool_name(place.piece))
        return shorten(sight.texts.text(place))


def _digests(layout: Layout, section: Section) -> list[bytes]:
    first, end = {
        Section.TOOLS: (0, layout.tools_end),
        Section.SYSTEM: (layout.tools_end, layout.system_end),
        Section.MESSAGES: (layout.system_end, len(layout.blocks)),
    }[section]
    return [block.digest for block in layout.blocks[first:end]]


def _place(layout: Layout, block: int, section: Section) -> Place | None:
    """Return where a block stands, or None where the section has ended before."""
    if block >= len(layout.blocks):
        return None
    place = layout.places[block]
    return place if place.section is section else None


def _first_block(layout: Layout, piece: int) -> int:
    return layout.places.piece_ends[piece - 1] if piece else 0


_SALTS: dict[Section, Callable[[Layout], bytes]] = {
    Section.TOOLS: lambda layout: layout.prompt.tools_salt,
    Section.SYSTEM: lambda layout: layout.prompt.system_salt,
    Section.MESSAGES: lambda layout: layout.prompt.messages_salt,
}


def _setting(section: Section, old: Layout, new: Layout) -> Difference:
    salt = _SALTS[section]
    before, after = (salt(layout).decode("utf-8", "replace").strip(";") for layout in (old, new))
    return Difference(section, None, Cause.SETTING, 0, shorten(before), shorten(after))
