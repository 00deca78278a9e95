"""Stable fronts: the tools in one order, and what varies in the instructions behind the prompt.

Only where the operator allows it. The front is made before the other techniques act, since what they ask of
the provider's cache goes by what is really sent; the lines that were taken out are added once they have
acted, as a note that no mark stands on. A thread keeps its front as it was first sent, but where the client
itself sends another: what stands behind the difference is lost anyway.
"""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.decision import Decision
from bursar.domain.ledger import Technique
from bursar.domain.prompt import Piece, digest
from bursar.effects import Effect
from bursar.exchange.call import Call
from bursar.exchange.casing import Casing
from bursar.exchange.engine import Engine
from bursar.exchange.front_memo import OrderedTools, Stand
from bursar.exchange.versions import Version, finish_reading, lay_out_version
from bursar.policy.stable_prefix import Parting, add_changed, choose_lines, part
from bursar.view.volatile_lines import Lines, changed_lines, find_lines
from bursar.wire import raw_json as raw
from bursar.wire.drafts import UNSEEN_MARKS
from bursar.wire.notes import read_with_note, takes_note
from bursar.wire.system_texts import read_system_texts, with_system_texts

# Fields that hold tools; the second is OpenAI's older name.
_TOOL_FIELDS = ("tools", "functions")

_NO_LINES: frozenset[bytes] = frozenset()


class Steady(msgspec.Struct, frozen=True, gc=False):
    """A call with its front made stable.

    Attributes:
        call: The call, as the techniques that follow are to see it.
        version: What goes out of it so far.
        note: What is to be added behind it (`add_note`); empty for nothing.
        decisions: What was done; none for nothing.
        faults: The technique, where it failed.
    """

    call: Call
    version: Version
    note: str = ""
    decisions: tuple[Decision, ...] = ()
    faults: tuple[str, ...] = ()


def stabilise(engine: Engine, call: Call, version: Version, case: Casing) -> Generator[Effect, Any, Steady]:
    """Make a call's front stable, where the operator allows it and the cache holds no more of it as it came.

    Args:
        engine: What is known.
        call: The call.
        version: What goes out of it so far.
        case: Puts versions of it before the techniques.

    Yields:
        The counting of texts that are new.
    """
    policy = call.policy.stable_prefix
    if (
        not (policy.order or policy.volatile)
        or UNSEEN_MARKS in version.request.features
        or not case.may_be_kept(version.layout)
    ):
        return Steady(call, version)
    try:
        return (yield from _Work(engine, call, version, case).run())
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return Steady(call, version, faults=(Technique.PREFIX_CACHE.value,))


def add_note(
    engine: Engine, call: Call, version: Version, note: str
) -> Generator[Effect, Any, Version | None]:
    """Add what was taken out of the instructions behind a prompt; None where that fails.

    Yields:
        The counting of the note.
    """
    if not note:
        return version
    try:
        request = yield from finish_reading(read_with_note(version.request, note, engine.memo))
        layout = lay_out_version(engine, call, request, b"noted")
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        return None
    return msgspec.structs.replace(version, request=request, layout=layout)


class _Front(msgspec.Struct, frozen=True, gc=False):
    """A front that could go out.

    Attributes:
        version: The call with it; the very version that there was where it is the same.
        parting: What was done to the instructions; None for nothing.
    """

    version: Version
    parting: Parting | None = None


class _Work:
    """One call's front, while it is worked on.

    Args:
        engine: What is known.
        call: The call.
        version: What goes out of it so far.
        case: Puts versions of it before the techniques.
    """

    def __init__(self, engine: Engine, call: Call, version: Version, case: Casing) -> None:
        self._engine = engine
        self._call = call
        self._came = version
        self._case = case
        self._memo = engine.fronts
        self._policy = call.policy.stable_prefix
        fields = version.request.fields
        self._tools_field = next(
            (name for name in _TOOL_FIELDS if fields.get(name, raw.NULL) != raw.NULL), None
        )
        prompt = version.request.prompt
        self._tools, self._system = _name(prompt.tools), _name(prompt.system)
        attribution = call.attribution
        self._who = digest(f"{attribution.tenant}\0{attribution.agent}".encode("utf-8", "surrogatepass"))

    def run(self) -> Generator[Effect, Any, Steady]:
        """Return the call with the front that it goes out with."""
        key = self._call.place.thread.thread_id, self._call.mode
        known = self._memo.stand(key)
        lines = self._find_lines() if self._policy.volatile else ()
        wanted = self._want(known, lines)
        front = yield from self._build(wanted, lines)
        is_new = known is None or (wanted.order, wanted.moved) != (known.order, known.moved)
        if is_new and front.version is not self._came and not self._keeps_as_much(front.version):
            order, moved = (False, _NO_LINES) if known is None else (known.order, known.moved)
            wanted = msgspec.structs.replace(wanted, order=order, moved=moved)
            front = yield from self._build(wanted, lines)
        self._memo.keep_stand(key, wanted)
        if front.version is self._came:
            return Steady(self._call, self._came)
        return self._steady(front)

    def _find_lines(self) -> Lines:
        """Return the lines of the instructions that may vary; no texts are read that are known."""
        known = self._memo.lines(self._system)
        if known is None:
            known = find_lines([(each.spot, each.text) for each in read_system_texts(self._came.request)])
            self._memo.keep_lines(self._system, known)
        return known

    def _want(self, known: Stand | None, lines: Lines) -> Stand:
        """Say how the front is to go out: as the thread's last call, but for what the client changed."""
        changed = _NO_LINES
        if known is not None and known.system not in {b"", self._system}:
            changed = changed_lines(self._memo.lines(known.system) or (), lines)
        seen = self._memo.volatile.see(self._who, lines, changed)
        vary = self._policy.order and self._tools_vary()
        if known is None:
            return Stand(vary, choose_lines(lines, seen), self._tools, self._system)
        order = known.order or (vary and known.tools not in {b"", self._tools})
        return Stand(order, add_changed(known.moved, lines, changed), self._tools, self._system)

    def _tools_vary(self) -> bool:
        """Learn in which form the tools came, and say whether they come in different ones."""
        ordered = self._ordered_tools()
        return ordered is not None and self._memo.vary(self._who, ordered, self._tools)

    def _ordered_tools(self) -> OrderedTools | None:
        field = self._tools_field
        return self._memo.ordered(self._came.request.fields[field]) if field is not None else None

    def _build(self, stand: Stand, lines: Lines) -> Generator[Effect, Any, _Front]:
        """Return the front that a stand comes to."""
        request, fields = self._came.request, dict[str, bytes]()
        ordered = self._ordered_tools() if stand.order else None
        if ordered is not None and self._tools_field is not None:
            fields[self._tools_field] = ordered.content
        parting = None
        if stand.moved and takes_note(request):
            parting = part(read_system_texts(request), lines, stand.moved)
        if parting is not None:
            fields |= with_system_texts(request, parting.texts)
        if not fields:
            return _Front(self._came)
        engine, call = self._engine, self._call
        revised = yield from finish_reading(call.dialect.reread_fields(request, fields, engine.memo))
        if revised.prompt == request.prompt:
            return _Front(self._came)
        return _Front(Version(revised, lay_out_version(engine, call, revised, b"steady")), parting)

    def _keeps_as_much(self, version: Version) -> bool:
        """Whether the cache holds no more of the version that there was."""
        held = self._case.held_tokens
        return held(version.layout) >= held(self._came.layout)

    def _steady(self, front: _Front) -> Steady:
        version, parting, call = front.version, front.parting, self._call
        at_s = call.arrival.at_s
        # As it came, its front may never come again; this one does.
        self._engine.prefixes.arrive(version.layout, new_thread=call.place.turn == 0, at_s=at_s)
        done: list[str] = []
        if version.request.prompt.tools != self._came.request.prompt.tools:
            done.append("tools in one order")
        if parting is not None:
            done.append("what varies in the instructions behind the prompt")
        return Steady(
            msgspec.structs.replace(call, request=version.request),
            version,
            parting.note if parting is not None else "",
            (Decision(Technique.PREFIX_CACHE, ", ".join(done)),),
        )


def _name(pieces: tuple[Piece, ...]) -> bytes:
    return digest(b"".join([block.digest for piece in pieces for block in piece.blocks]))
