"""Which earlier call an agent's call is compared with.

That is the one before it in its thread; failing that, the last of its conversation; failing that, the one
of the agent's last few that its front is most like. What is remembered is bounded.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from bursar.domain.attribution import DEFAULT, Attribution
from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.layout import Layout
from bursar.replay.calls import RecordedCall
from bursar.replay.diagnosis.sent import SentCall
from bursar.view.threads import ThreadIndex
from bursar.wire.dialect import Request

_AGENTS_MAX = 1_000
_RECENT_MAX = 8
_BLOCKS_MAX = 500_000
_BODY_BYTES_MAX = 128 * 1024 * 1024
# Fronts whose lengths differ by no more than this part are taken for versions of one.
_CLOSE = 20


@dataclass(slots=True)
class Past:
    """A call that was made. Mutable, as later calls make use of what it left in the cache.

    Attributes:
        number: Its number among all.
        place: File and line.
        at_s: When it was sent.
        begins_at_s: When its answer began.
        dialect: Its dialect.
        model: Its model.
        sent: What the cache made of it.
        kept_tokens: Tokens up to which somebody has paid for keeping its prompt.
        reused_tokens: Tokens of its prompt that later calls began with, or could have.
    """

    number: int
    place: str
    at_s: float
    begins_at_s: float
    dialect: str
    model: str
    sent: SentCall
    kept_tokens: int
    reused_tokens: int = 0

    @property
    def dies_at_s(self) -> float:
        """From when on what it left cannot be read any more."""
        return self.begins_at_s + self.sent.life_s


@dataclass(frozen=True, slots=True)
class Position:
    """Where a call stands among earlier ones.

    Attributes:
        previous: The call before it in its thread or conversation; None at the first.
        keys: What it will be found by.
        agent: Its agent, with the tenant.
    """

    previous: Past | None
    keys: Sequence[Hashable]
    agent: tuple[str, str]


class Habits:
    """The agents' calls so far."""

    def __init__(self) -> None:
        self._index = ThreadIndex()
        self._last: WeighedDict[Hashable, Past] = WeighedDict(_BLOCKS_MAX, _weigh)
        self._recent: BoundedDict[tuple[str, str], deque[Past]] = BoundedDict(_AGENTS_MAX)
        self._bodies: WeighedDict[int, bytes] = WeighedDict(_BODY_BYTES_MAX, len)

    def place(self, call: RecordedCall, request: Request, number: int) -> Position:
        """Find where a call stands."""
        labels = call.labels
        who = Attribution(
            tenant=labels.get("tenant", DEFAULT),
            agent=labels.get("agent", DEFAULT),
            conversation=labels.get("conversation", ""),
        )
        found = self._index.join(who, request.prompt.messages, operation_id=str(number), at_s=call.at_s)
        agent = (who.tenant, who.agent)
        keys: list[Hashable] = [(agent, found.thread.thread_id)]
        if who.conversation:
            keys.append((agent, "conversation", who.conversation))
        previous = next((past for key in keys if (past := self._last.get(key)) is not None), None)
        return Position(previous, keys, agent)

    def alike(self, call: RecordedCall, position: Position, model: str, layout: Layout) -> Past | None:
        """Return which of the agent's last calls a prompt of no known thread is most like, or None."""
        front = {block.digest for block in layout.blocks[: layout.system_end]}
        tokens = _front_tokens(layout)

        def likeness(past: Past) -> tuple[int, bool, bool, float]:
            theirs = past.sent.layout
            shared = sum([block.digest in front for block in theirs.blocks[: theirs.system_end]])
            live = past.begins_at_s <= call.at_s < past.dies_at_s
            close = abs(_front_tokens(theirs) - tokens) * _CLOSE <= tokens
            return shared, close, live, past.at_s

        recent = [
            past
            for past in self._recent.get(position.agent, ())
            if past.model == model and past.dialect == call.dialect
        ]
        return max(recent, key=likeness, default=None)

    def body(self, past: Past) -> bytes | None:
        """Return a call's body, or None where it is no longer kept."""
        return self._bodies.get(past.number)

    def remember(self, past: Past, position: Position, body: bytes) -> None:
        """Remember a call."""
        for key in position.keys:
            self._last.keep(key, past)
        recent = self._recent.get(position.agent)
        if recent is None:
            recent = deque[Past](maxlen=_RECENT_MAX)
        recent.append(past)
        self._recent.keep(position.agent, recent)
        self._bodies.keep(past.number, body)


def _front_tokens(layout: Layout) -> int:
    return layout.ends[layout.system_end - 1] if layout.system_end else 0


def _weigh(past: Past) -> int:
    return len(past.sent.layout.blocks) + 1
