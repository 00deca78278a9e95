"""Texts that begin as earlier ones did, split there: the same text in two blocks, with a place for a mark.

A provider keeps prefixes that end with a block. An agent that sends instructions, document and question as
one text shares its beginning with earlier calls, but none of its blocks. Whether a text is split is decided
where a thread begins, by price (`policy.prefix_cache.choose_split`), and holds for every call that begins
with the same blocks for as long as it is remembered, so that blocks once sent stay sent.
"""

from collections.abc import Generator, Sequence
from typing import Any

from bursar.domain.layout import Layout
from bursar.domain.ledger import Technique
from bursar.domain.prompt import BlockKind, Role, Section, digest
from bursar.effects import Effect
from bursar.exchange.call import Call
from bursar.exchange.casing import Casing
from bursar.exchange.engine import Engine
from bursar.exchange.versions import Split, Version, finish_reading, lay_out_version
from bursar.view.beginnings import WHOLE, Cut
from bursar.wire.drafts import UNSEEN_MARKS
from bursar.wire.text_splitting import read_text_at, split_text_at


def split_beginning(
    engine: Engine, call: Call, version: Version, case: Casing
) -> Generator[Effect, Any, tuple[Version, tuple[str, ...]]]:
    """Split the text of a prompt that begins as earlier ones did, where that pays.

    Args:
        engine: What is known.
        call: The call.
        version: The version of it that would go out otherwise.
        case: Puts versions of it before the techniques.

    Yields:
        The counting of texts that are new.

    Returns:
        The version with a text in two blocks, or as it was; and the technique, where it failed.
    """
    least_tokens = case.cacheable_tokens
    if (
        least_tokens is None
        or version.layout.total_tokens < least_tokens
        or not call.policy.stable_prefix.split
    ):
        return version, ()
    try:
        return (yield from _split(engine, call, version, case, least_tokens)), ()
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return version, (Technique.PREFIX_CACHE.value,)


def _split(
    engine: Engine, call: Call, version: Version, case: Casing, least_tokens: int
) -> Generator[Effect, Any, Version]:
    layout, at_s = version.layout, call.arrival.at_s
    texts = _long_texts(layout, least_tokens)
    if not texts:
        return version
    whose = f"{call.attribution.tenant}\0{call.attribution.agent}\0{call.mode}"
    owner = digest(whose.encode("utf-8", "surrogatepass"))
    front = digest(owner + layout.chain[texts[-1]])
    cut = engine.beginnings.cut(front)
    if cut is not None:
        if cut is WHOLE:
            return version
        if call.place.turn == 0:
            engine.beginnings.arrive(cut.beginning.name, at_s)
        else:
            engine.beginnings.refresh(cut.beginning.name, at_s)
        if call.mode == "optimise":
            engine.pins.note_cut(call.place.thread.thread_id, front, cut)
        return (yield from _cut(engine, call, version, cut))
    cuts: list[Cut] = []
    if _begins(call) and UNSEEN_MARKS not in version.request.features:
        cuts = _find_cuts(engine, version, texts, owner, at_s)
    splits: list[Version] = []
    for cut in cuts:
        split = yield from _cut(engine, call, version, cut)
        splits.append(split)
    chosen = case.choose_split(layout, splits)
    engine.beginnings.decide(front, WHOLE if chosen is None else cuts[chosen])
    if chosen is None:
        return version
    if call.mode == "optimise":
        engine.pins.note_cut(call.place.thread.thread_id, front, cuts[chosen])
    return splits[chosen]


def _long_texts(layout: Layout, least_tokens: int) -> list[int]:
    """Return the numbers of the texts in the system prompt and the first message that may be worth it."""
    messages, ends, blocks = layout.prompt.messages, layout.ends, layout.blocks
    stop = layout.message_ends[0] if messages and messages[0].role is Role.USER else layout.system_end
    return [
        number
        for number in range(layout.tools_end, stop)
        if ends[number] - (ends[number - 1] if number else 0) >= least_tokens
        and blocks[number].kind is BlockKind.TEXT
    ]


def _begins(call: Call) -> bool:
    """Whether a call begins a thread, as far as we and its messages know."""
    return call.place.turn == 0 and not any(
        piece.role is Role.ASSISTANT for piece in call.request.prompt.messages
    )


def _find_cuts(
    engine: Engine, version: Version, texts: Sequence[int], owner: bytes, at_s: float
) -> list[Cut]:
    """Learn from the texts that are new, and return where the last that begins like others may be split."""
    layout, request = version.layout, version.request
    prompt, cuts = layout.prompt, list[Cut]()
    for number in texts:
        place = layout.places[number]
        # Equal texts in other places, or under other settings, are not the same to a cache.
        salt = prompt.system_salt + (prompt.messages_salt if place.section is Section.MESSAGES else b"")
        link = layout.chain[number - 1] if number else layout.scope
        before = digest(owner + digest(link) + place.section.encode() + salt)
        if not engine.beginnings.is_new(digest(before + layout.blocks[number].digest)):
            continue
        text = read_text_at(request, place)
        if text is None:
            continue
        found = engine.beginnings.learn(before, text, at_s)
        if found:
            cuts = [Cut(number, beginning) for beginning in found]
    return cuts


def _cut(engine: Engine, call: Call, version: Version, cut: Cut) -> Generator[Effect, Any, Version]:
    """Return a version with a text in two blocks."""
    whole, request = version.layout, version.request
    fields = split_text_at(request, whole.places[cut.block], cut.beginning.end_bytes)
    split = yield from finish_reading(call.dialect.reread_fields(request, fields, engine.memo))
    layout = lay_out_version(engine, call, split, b"split")
    return Version(split, layout, Split(whole, cut.block, cut.beginning.name))
