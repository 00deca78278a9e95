"""What was done to threads' histories, so that every later turn sends the same bytes.

A thread's steps are held in memory, and kept in the working content: after a restart, or where another
process serves the next turn, the same step is found there. Rewritten beginnings are held in memory only:
they follow from the step.
"""

import hashlib
from collections.abc import Generator, Sequence
from typing import Any

import msgspec

from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.prompt import Piece
from bursar.effects import Effect, Keep, LookUp
from bursar.exchange.call import Call
from bursar.policy.history.steps import Conversation, Head, HistoryStep
from bursar.ports import ContentKey, ContentKind

MEMO_TTL_S = 7 * 24 * 3600.0
"""How long a step is kept after it was taken. No provider's cache lives longer."""

# Threads may part after a common beginning.
_STEPS_PER_START = 4

# What the store names a thread by: its first messages, as `ThreadCall.start` does.
_NAMED_MESSAGES = 4

_STEP_BYTES = 400
# Most of them are held elsewhere too.
_PIECE_BYTES = 64


class Held(msgspec.Struct, frozen=True):
    """A step that was taken.

    Attributes:
        step: The step.
        summary_base_tokens: o200k tokens of its summary.
        unkept: Digests of masked results whose full text could not be kept: no handle leads to them.
    """

    step: HistoryStep
    summary_base_tokens: int = 0
    unkept: tuple[bytes, ...] = ()


class Beginning(msgspec.Struct, frozen=True, gc=False):
    """A conversation's beginning that was rewritten.

    Attributes:
        pieces: What the array of messages holds up to the step's end, and one more message.
        head: What they came to.
    """

    pieces: tuple[Piece, ...]
    head: Head


class Key(msgspec.Struct, frozen=True):
    """Names a thread, as far as its steps are concerned. Tenants never meet.

    What is set is no part of it: a step that was taken stands, whatever would be done now.

    Attributes:
        tenant: Whose it is.
        start: Names its first messages. What is only observed is remembered apart from what was sent.
    """

    tenant: str
    start: bytes


def key_of(call: Call) -> Key:
    """Name a call's thread."""
    return Key(call.attribution.tenant, call.place.start + call.mode.encode())


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODER = msgspec.msgpack.Decoder(tuple[Held, ...])


class HistoryMemo:
    """Steps and rewritten beginnings in memory, bounded.

    Args:
        bytes_max: Bytes of rewritten beginnings, and an eighth as many of steps.
    """

    def __init__(self, bytes_max: int = 128 << 20) -> None:
        self._steps: WeighedDict[Key, tuple[Held, ...]] = WeighedDict(bytes_max // 8, _weigh_steps)
        self._beginnings: WeighedDict[tuple[Key, Held], Beginning] = WeighedDict(bytes_max, _weigh_beginning)
        # Whether a thread has a step, where that was ever looked up.
        self._stepped: BoundedDict[Key, bool] = BoundedDict(200_000)
        self._kept_at_s: BoundedDict[Key, float] = BoundedDict(50_000)
        self.kept_at_s = self._kept_at_s.get
        """Return when the full results that a thread's masks lead to were kept last, or None."""
        self._busy: set[Key] = set()
        self._failed_at_s: BoundedDict[Key, float] = BoundedDict(4_096)
        self.failed_at_s = self._failed_at_s.get
        """Return when a thread could not be summarised, or None."""

    def held(self, key: Key) -> tuple[Held, ...]:
        """Return a thread's steps, those that were taken or found last first."""
        return self._steps.get(key, ())

    def knows(self, key: Key) -> bool:
        """Whether nothing about a thread has to be looked up: its steps are here, or it has none."""
        return key in self._steps or self._stepped.get(key) is False

    def had_step(self, key: Key) -> bool:
        """Whether a thread is known to have a step, be it forgotten."""
        return self._stepped.get(key, False)

    def remember(self, key: Key, more: Sequence[Held]) -> None:
        """Remember further steps of a thread; none says that it has no others."""
        known = self._steps.get(key, ())
        held = (*more, *[each for each in known if each not in more])[:_STEPS_PER_START]
        self._stepped.keep(key, bool(held))
        if held:
            self._steps.keep(key, held)

    def beginning(self, key: Key, held: Held) -> Beginning | None:
        """Return what a step came to, where that is remembered."""
        return self._beginnings.get((key, held))

    def keep_beginning(self, key: Key, held: Held, beginning: Beginning) -> None:
        """Remember what a step came to."""
        self._beginnings.keep((key, held), beginning)

    def results_kept(self, key: Key, at_s: float) -> None:
        """Take note that the full results that a thread's masks lead to were kept."""
        self._kept_at_s.keep(key, at_s)

    def begin(self, key: Key) -> bool:
        """Begin to take a step; False where another call of the thread is about to."""
        if key in self._busy:
            return False
        self._busy.add(key)
        return True

    def end(self, key: Key) -> None:
        """Be done with taking a step, however that went."""
        self._busy.discard(key)

    def is_busy(self, key: Key) -> bool:
        """Whether a call of a thread is about to take a step."""
        return key in self._busy

    def forget(self, tenant: str) -> None:
        """Forget all steps of a tenant's threads. What is under way ends by itself."""
        self._steps.drop(lambda key: key.tenant == tenant)
        self._beginnings.drop(lambda key: key[0].tenant == tenant)
        self._stepped.drop(lambda key: key.tenant == tenant)
        self._kept_at_s.drop(lambda key: key.tenant == tenant)
        self._failed_at_s.drop(lambda key: key.tenant == tenant)

    def failed(self, key: Key, at_s: float) -> None:
        """Take note that a thread could not be summarised."""
        self._failed_at_s.keep(key, at_s)


def look_up_steps(
    memo: HistoryMemo, key: Key, call: Call, conversation: Conversation
) -> Generator[Effect, Any, bool]:
    """Look a thread's steps up in the working content, and remember what is there.

    Returns:
        Whether a step that the thread is known to have is lost.
    """
    stored: bytes | None = yield LookUp(_content_key(key, call, conversation))
    held = _read(stored) if stored is not None else ()
    lost = not held and memo.had_step(key) and not memo.held(key)
    memo.remember(key, held)
    return lost


def keep_steps(memo: HistoryMemo, key: Key, call: Call, conversation: Conversation) -> Generator[Effect, Any]:
    """Keep a thread's steps in the working content. Where that fails, a restart costs what they saved."""
    content = _ENCODE(memo.held(key))
    yield Keep(_content_key(key, call, conversation), content, MEMO_TTL_S)


def _read(content: bytes) -> tuple[Held, ...]:
    try:
        return _DECODER.decode(content)
    except msgspec.DecodeError:
        # Written by another version of ours: as good as none.
        return ()


def _content_key(key: Key, call: Call, conversation: Conversation) -> ContentKey:
    """Name a thread's steps so that nobody could who does not know how it begins."""
    first = conversation.raw_messages(min(_NAMED_MESSAGES, len(conversation.messages)))
    # Without cache marks, which clients move.
    spoken = [conversation.form.read(message) for message in first]
    named = _ENCODE((key.tenant, call.attribution.agent, key.start, spoken))
    return ContentKey(key.tenant, ContentKind.MEMO, hashlib.blake2b(named, digest_size=32).digest())


def _weigh_steps(held: Sequence[Held]) -> int:
    return sum([_STEP_BYTES + len(each.step.summary) + 16 * len(each.unkept) for each in held])


def _weigh_beginning(beginning: Beginning) -> int:
    return len(beginning.head.content) + _PIECE_BYTES * len(beginning.pieces) + _STEP_BYTES
