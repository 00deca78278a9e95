"""History on its way out: rewritten in rare, large steps, and the same bytes at every turn between them.

A call first gets the step that its thread has, and only on top of that another one is considered, so that a
turn costs its new messages only. Steps stand on the shortened tool results, which are a function of the
conversation too: with a step, a thread's results are sent shortened from then on.

In observe mode nothing is sent or kept for it: no summary is bought, so that what would be saved is rather
too little.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import msgspec

from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRules
from bursar.domain.ledger import Technique
from bursar.domain.prompt import Piece, Role, shared_start
from bursar.effects import Aborted, Count, Effect
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.history_memo import Beginning, Held, keep_steps, key_of, look_up_steps
from bursar.exchange.history_sight import Sight
from bursar.exchange.holding import Hold
from bursar.exchange.masked_results import full_texts, handles, keep_results
from bursar.exchange.rewriting import KEEP_AGAIN_S
from bursar.exchange.summarising import Summarised, find_summariser, summarise
from bursar.exchange.versions import Version, with_messages
from bursar.policy.history.decision import (
    HistoryCase,
    HistoryKind,
    HistoryPlan,
    SummaryOffer,
    decide_history,
)
from bursar.policy.history.steps import (
    Conversation,
    Head,
    applies,
    pinned_messages,
    rewrite,
    take_step,
    text_to_summarise,
)
from bursar.wire.condensing.forms import FORMS

MEMO_LOST = "history_memo_lost"
"""Fault: a thread's step is not to be found, so that its prompt is written to the cache anew."""

SUMMARY_FAILED = "history_summary"
"""Fault: a summary could not be had."""

TOO_LONG = "history_limit"
"""Fault: nothing makes a prompt fit into its limit."""

# After a summary has failed, none is tried for this long.
_PAUSE_S = 300.0


class Material(msgspec.Struct, frozen=True, gc=False):
    """What there is of a call before its history is rewritten.

    Attributes:
        shortened: The call with its tool results shortened.
        choose: Returns the version that goes out where the thread has no step.
        rules: How the model's cache behaves; None where it has none, or it is not used.
        cache: What the provider's cache holds.
        hold: What the call holds.
    """

    shortened: Version
    choose: Callable[[], Version]
    rules: CacheRules | None
    cache: ProviderCache
    hold: Hold


class Condensed(msgspec.Struct, frozen=True, gc=False):
    """What came of a call.

    Attributes:
        base: The version as it would go out without this technique.
        version: The version as it goes out; `base` where nothing was done.
        faults: What is wrong, by name.
        summary: The summary that was asked for, if one was.
    """

    base: Version
    version: Version
    faults: tuple[str, ...] = ()
    summary: Summarised | None = None


def condense(engine: Engine, call: Call, material: Material) -> Generator[Effect, Any, Condensed]:
    """Rewrite a call's history: as at the thread's last turn, and further where that pays or must be.

    Yields:
        What it needs done: memos looked up and kept, texts counted, a summary sent for.
    """
    work = _Work(engine, call, material)
    try:
        version = yield from work.run()
    except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
        work.faults.append(Technique.HISTORY.value)
        version = work.base
    return Condensed(work.base, version, tuple(work.faults), work.summary)


class _Stand(msgspec.Struct, frozen=True, gc=False):
    """Where a thread stands before a further step.

    Attributes:
        version: The call with the thread's step applied.
        held: The step; None for none.
        head: What the step came to.
    """

    version: Version
    held: Held | None = None
    head: Head | None = None


class _Work:
    """One call's history, while it is worked on.

    Args:
        engine: What is known.
        call: The call.
        material: What there is of it.
    """

    def __init__(self, engine: Engine, call: Call, material: Material) -> None:
        self._engine = engine
        self._call = call
        self._material = material
        self._observes = call.mode != "optimise"
        self._memo = engine.history
        self._key = key_of(call)
        self._conversation = _conversation_of(material.shortened)
        self._sight = Sight(engine, call, material.shortened, material.rules, material.cache)
        self.base = material.shortened
        self._is_found = False
        self.faults: list[str] = []
        self.summary: Summarised | None = None

    @property
    def aborted(self) -> bool:
        """Whether the client left while a summary was written."""
        return self.summary is not None and isinstance(self.summary.sent, Aborted)

    def run(self) -> Generator[Effect, Any, Version]:
        """Return the version that goes out."""
        call = self._call
        self._engine.lengths.arrive((call.attribution.tenant, call.attribution.agent), call.place.turn)
        held = yield from self._recall()
        if held is None:
            self.base = self._material.choose()
            stand = _Stand(self.base)
        else:
            stand = yield from self._apply(held)
            yield from self._keep_again(held)
        if not self._sight.is_long(stand.version.layout):
            return stand.version
        plan = self._decide(stand, offers=True)
        if plan.kind is HistoryKind.NONE:
            return stand.version
        return (yield from self._act(stand, plan))

    def _recall(self) -> Generator[Effect, Any, Held | None]:
        """Return the step that the thread is at, if it has one."""
        memo, key = self._memo, self._key
        if not self._observes and self._sight.may_have_step and not memo.knows(key):
            lost = yield from look_up_steps(memo, key, self._call, self._conversation)
            self._is_found = bool(memo.held(key))
            if lost or (not self._is_found and self._must_have_step()):
                self.faults.append(MEMO_LOST)
        return self._applying()

    def _keep_again(self, held: Held) -> Generator[Effect, Any]:
        """See to it that what masks lead to stays for as long as the conversation goes on."""
        step, at_s = held.step, self._call.arrival.at_s
        kept_at_s = self._memo.kept_at_s(self._key)
        fresh = kept_at_s is not None and at_s < kept_at_s + KEEP_AGAIN_S
        if self._observes or fresh or step.mask_end <= step.summary_end:
            return
        texts = full_texts(self._call, self._conversation, range(step.summary_end, step.mask_end))
        # Where that fails, the mask stays as it was sent.
        yield from keep_results(self._call.attribution.tenant, texts.values())
        self._memo.results_kept(self._key, at_s)

    def _must_have_step(self) -> bool:
        """Whether a conversation most likely had a step: it is long, and began before we did."""
        if self._call.place.turn or not self._sight.is_long(self._material.shortened.layout):
            return False
        return any(message.role is Role.ASSISTANT for message in self._conversation.messages)

    def _applying(self) -> Held | None:
        """Return the step that covers most of the conversation."""
        known = self._memo.held(self._key)
        if not known:
            return None
        found = [held for held in known if self._applies(held)]
        return max(found, key=lambda held: (held.step.end, held.step.summary_end), default=None)

    def _applies(self, held: Held) -> bool:
        # What was rewritten before is known by its very pieces, so that old messages are not named anew.
        return self._beginning(held) is not None or applies(held.step, self._conversation.messages)

    def _beginning(self, held: Held) -> Beginning | None:
        """Return what a step came to before, where it would come to the same now."""
        known = self._memo.beginning(self._key, held)
        if known is None or shared_start(known.pieces, self._pieces()) < len(known.pieces):
            return None
        conversation = self._conversation
        end = conversation.ends[conversation.front + held.step.end]
        return known if end == known.head.size_bytes else None

    def _pieces(self) -> tuple[Piece, ...]:
        return self._material.shortened.request.array_pieces

    def _apply(self, held: Held) -> Generator[Effect, Any, _Stand]:
        """Apply a step to the shortened version."""
        conversation, shortened = self._conversation, self._material.shortened
        known = self._beginning(held)
        if known is None:
            step, tenant = held.step, self._call.attribution.tenant
            texts = full_texts(self._call, conversation, range(step.summary_end, step.mask_end))
            head = rewrite(step, conversation, handles(tenant, texts, held.unkept))
            known = Beginning(self._pieces()[: conversation.front + step.end + 1], head)
            self._memo.keep_beginning(self._key, held, known)
        messages = known.head.whole(conversation.array)
        version = yield from with_messages(self._engine, self._call, shortened, messages, b"condensed")
        return _Stand(version, held, known.head)

    def _decide(self, stand: _Stand, *, offers: bool) -> HistoryPlan:
        """Decide on a further step."""
        sight, head, layout = self._sight, stand.head, stand.version.layout
        case = HistoryCase(
            layout=layout,
            pricing=sight.pricing(),
            # What was sent before we were started may be in the cache, though we cannot know.
            readable=_all_of_it if self._is_found else sight.readable_in(layout),
            outlook=sight.outlook(),
            kept=range(head.standing) if head is not None else (),
            shift=head.shift if head is not None else 0,
            summary_tokens=sight.tokens_of(stand.held.summary_base_tokens) if stand.held is not None else 0,
            offer=self._offer(layout.total_tokens) if offers else None,
            window_tokens=sight.window_tokens,
        )
        plan = decide_history(case, sight.options)
        if plan.kind is not HistoryKind.NONE and sight.options.pinned:
            # To look for texts in all messages takes time, so that is done once something is to happen.
            plan = decide_history(replace(case, kept=self._kept(head)), sight.options)
        if not plan.fits and TOO_LONG not in self.faults:
            self.faults.append(TOO_LONG)
        return plan

    def _kept(self, head: Head | None) -> set[int]:
        """Return the numbers of the messages that stay verbatim, in the conversation as it was rewritten."""
        standing, shift = (head.standing, head.shift) if head is not None else (0, 0)
        conversation = self._conversation
        pinned = pinned_messages(conversation, self._sight.options, len(conversation.messages))
        return {*range(standing), *[number - shift for number in pinned if number - shift >= standing]}

    def _offer(self, tokens: int) -> SummaryOffer | None:
        """Return what a summary of so many tokens would be; None where none is to be had now."""
        if self._observes or self._memo.is_busy(self._key):
            return None
        failed_at_s = self._memo.failed_at_s(self._key)
        if failed_at_s is not None and self._call.arrival.at_s < failed_at_s + _PAUSE_S:
            return None
        summariser = find_summariser(self._engine, self._call, self._sight.options)
        return summariser.offer(tokens) if summariser is not None else None

    def _act(self, stand: _Stand, plan: HistoryPlan) -> Generator[Effect, Any, Version]:
        """Take a step, unless another call of the thread has, or is about to."""
        memo, key = self._memo, self._key
        if not memo.begin(key):
            if self._sight.fits(stand.version.layout):
                return stand.version
            # It cannot wait; what it does for itself is nothing to the thread.
            held = yield from self._take(stand, plan)
            return (yield from self._apply(held)).version
        try:
            if not self._observes:
                yield from look_up_steps(memo, key, self._call, self._conversation)
                found = self._applying()
                if found is not None and found != stand.held:
                    # Another process has, or another call that was under way.
                    return (yield from self._apply(found)).version
            return (yield from self._go_on(stand, plan))
        finally:
            memo.end(key)

    def _go_on(self, stand: _Stand, plan: HistoryPlan) -> Generator[Effect, Any, Version]:
        """Take a step, for this call and all later ones."""
        summary = ""
        if plan.kind is HistoryKind.SUMMARISE:
            summary = yield from self._summarise(stand, plan)
            if not summary:
                if self.aborted or self._sight.fits(stand.version.layout):
                    return stand.version
                plan = self._decide(stand, offers=False)
                if plan.kind is HistoryKind.NONE:
                    return stand.version
        held = yield from self._take(stand, plan, summary)
        after = yield from self._apply(held)
        self._memo.remember(self._key, (held,))
        if not self._observes:
            yield from keep_steps(self._memo, self._key, self._call, self._conversation)
        return after.version

    def _summarise(self, stand: _Stand, plan: HistoryPlan) -> Generator[Effect, Any, str]:
        """Have a summary written; an empty one says that there is none."""
        summariser = find_summariser(self._engine, self._call, self._sight.options)
        if summariser is None:
            return ""
        step = stand.held.step if stand.held is not None else None
        text = text_to_summarise(step, plan, self._conversation, summariser.chars_max)
        self.summary = yield from summarise(self._engine, self._call, summariser, text, self._material.hold)
        if self.summary is None:
            # A budget is in the way of it. The call itself may still fit.
            return ""
        if self.summary.summary is None and not self.aborted:
            self.faults.append(SUMMARY_FAILED)
            self._memo.failed(self._key, self._call.arrival.at_s)
        return self.summary.summary or ""

    def _take(self, stand: _Stand, plan: HistoryPlan, summary: str = "") -> Generator[Effect, Any, Held]:
        """Return the step that a plan comes to; the results that it masks are kept first."""
        call, conversation, before = self._call, self._conversation, stand.held
        current = before.step if before is not None else None
        step = take_step(current, plan, conversation, self._sight.options, summary)
        base_tokens, unkept = 0, before.unkept if before is not None else ()
        if step.summary:
            base_tokens = before.summary_base_tokens if before is not None else 0
            if current is None or step.summary != current.summary:
                [base_tokens] = yield Count((step.summary,))
        masked = max(step.summary_end, current.mask_end if current is not None else 0)
        if masked < step.mask_end and not self._observes:
            texts = full_texts(call, conversation, range(masked, step.mask_end))
            unkept += yield from keep_results(call.attribution.tenant, texts.values())
            if not masked:
                self._memo.results_kept(self._key, call.arrival.at_s)
        return Held(step, base_tokens, unkept)


def _all_of_it(tokens: int) -> int:
    return tokens


def _conversation_of(version: Version) -> Conversation:
    request = version.request
    return Conversation(
        form=FORMS[request.dialect],
        array=request.fields["messages"],
        ends=request.piece_ends["messages"],
        messages=request.prompt.messages,
    )
