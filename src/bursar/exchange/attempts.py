"""Making a call: planned, held for, sent; and again another way, where the first was not enough."""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.budgets import ActionKind
from bursar.domain.ledger import Technique
from bursar.effects import Aborted, Count, Cut, Effect, Ended, Unreachable, Whole
from bursar.exchange.bills import Bill, nothing_billed, unknown_cost
from bursar.exchange.call import Call
from bursar.exchange.casing import Habit
from bursar.exchange.costing import bill_estimated, bill_reported
from bursar.exchange.covering import cover_plan
from bursar.exchange.engine import Engine
from bursar.exchange.entries import Outcome, Tried
from bursar.exchange.headers import header_text
from bursar.exchange.holding import LEFT, Hold
from bursar.exchange.planning import Plan, make_plan, response_began
from bursar.exchange.routing import Route
from bursar.exchange.sending import Dispatch, Sending, may_pass, send
from bursar.policy.budgets.refusals import Refusal
from bursar.policy.routing.choice import Reason
from bursar.wire.dialect import Answer, Fault

# What a provider says to a request that its model cannot serve.
_UNSERVED = frozenset((400, 404, 413, 422))


class Unsent(msgspec.Struct, frozen=True, gc=False):
    """Why a call was not sent: its client left, or a budget refuses it.

    Attributes:
        call: The call, as it would have gone out.
        plan: Its plan.
        why: What keeps it.
    """

    call: Call
    plan: Plan
    why: Fault | Refusal


class Attempts:
    """All ways in which one call is made.

    Args:
        engine: What is known.
        call: The call.
        hold: What it holds.
        own: Our own headers for the client, as far as they are known; the ways add theirs.
        recorded_bytes_max: How much of a stream is kept beside being passed on.
    """

    def __init__(
        self, engine: Engine, call: Call, hold: Hold, own: dict[str, str], recorded_bytes_max: int
    ) -> None:
        self._engine = engine
        self._hold = hold
        self._own = own
        self._recorded_bytes_max = recorded_bytes_max
        self._habit: Habit | None = None
        self._route = Route(engine, call)
        self.ways: list[Tried] = []
        """What was tried, in order."""
        self.faults: list[str] = []
        """What failed of it inside Bursar."""

    @property
    def decisions(self) -> tuple[str, ...]:
        """What was decided about where the call goes, for its entry."""
        return self._route.decisions

    def run(self) -> Generator[Effect, Any, Tried | Unsent]:
        """Make the call.

        Returns:
            The way whose answer the client gets; or why nothing was sent.
        """
        try:
            yield from self._route.begin()
        except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
            self._route.leave()
            self.faults.append(Technique.ROUTING.value)
        ready = yield from self._prepare()
        if isinstance(ready, Unsent):
            return ready
        tried = yield from self._send(ready)
        while True:
            self.ways.append(tried)
            try:
                ready = yield from self._go_on(tried)
            except Exception:  # noqa: BLE001 - What was sent is answered and recorded, whatever fails afterwards.
                ready = None
                self.faults.append(Technique.ROUTING.value)
            if ready is None:
                return self._best()
            tried = yield from self._send(ready)

    def learn(self, outcome: Outcome) -> None:
        """Learn from how the call ended: how its thread goes on, and what routing came to."""
        delivered, answer = outcome.tried, outcome.answer
        if answer is not None and answer.complete:
            self._engine.threads.answered(delivered.call.place, answer.echo)
        self._route.settle(delivered.call, delivered.bill.usage, outcome.total)

    def _go_on(self, tried: Tried) -> Generator[Effect, Any, Plan | None]:
        """Turn to another way, where one was not enough; returns its plan, or None where there is none."""
        if not (yield from self._turn(tried)):
            return None
        self._hold.took(tried.bill)
        ready = yield from self._prepare()
        return ready if isinstance(ready, Plan) else None

    def _prepare(self) -> Generator[Effect, Any, Plan | Unsent]:
        """Plan the call, and hold what that takes: with a cheaper model where a budget wants it."""
        route, hold = self._route, self._hold
        while True:
            call = route.call
            plan = yield from make_plan(self._engine, call, hold, self._habit)
            self._habit = plan.habit
            summary = plan.summary
            has_left = summary is not None and isinstance(summary.sent, Aborted)
            why = LEFT if has_left else (yield from cover_plan(self._engine, call, plan, hold))
            if why is None:
                is_dear = not self.ways and any(map(_prefers_cheaper, hold.decisions))
                if not (is_dear and (yield from route.lower(Reason.BUDGET))):
                    return plan
            elif self.ways or isinstance(why, Fault) or not (yield from route.lower(Reason.BUDGET)):
                return Unsent(call, plan, why)

    def _send(self, plan: Plan) -> Generator[Effect, Any, Tried]:
        engine, call, own = self._engine, self._route.call, self._own
        own["x-bursar-model"] = header_text(call.request.model)
        own.pop("x-bursar-max-tokens", None)
        if plan.max_tokens is not None:
            own["x-bursar-max-tokens"] = str(plan.max_tokens)
        summary = plan.summary
        before = self.ways[-1].sending.last if self.ways else None
        at_s = None if before is None else before.times.ended_at_s
        dispatch = Dispatch(
            plan.body,
            lambda at_s: response_began(engine, plan, at_s),
            own,
            self._recorded_bytes_max,
            at_s=summary.sent.times.ended_at_s if summary is not None else at_s,
            repeats=not self._route.has_next,
        )
        sending = yield from send(call, engine.options.upstreams[call.arrival.upstream], dispatch)
        try:
            answer = _answer(call, sending)
            bill = yield from _bill(engine, call, plan, sending, answer)
        except Exception:  # noqa: BLE001 - What was sent is recorded and passed on, whatever we make of it.
            bill = unknown_cost(None, call.request.terms)
            return Tried(call, plan, sending, None, bill, is_settled=False)
        return Tried(call, plan, sending, answer, bill)

    def _turn(self, tried: Tried) -> Generator[Effect, Any, bool]:
        """Turn to another way, where this one was not enough; returns whether there is one."""
        route, last = self._route, tried.sending.last
        if route.tier is None or not tried.is_settled or tried.has_left or not self._has_time(tried):
            return False
        if may_pass(last):
            return (yield from route.next_model())
        if isinstance(last, Whole) and last.status in _UNSERVED:
            return route.give_up()
        return False

    def _has_time(self, tried: Tried) -> bool:
        arrival = tried.call.arrival
        deadline_s = self._engine.options.upstreams[arrival.upstream].deadline_s
        return tried.sending.last.times.ended_at_s < arrival.at_s + deadline_s

    def _best(self) -> Tried:
        """Return the last way that brought an answer; the last of all where none did, or nobody waits."""
        last = self.ways[-1]
        if len(self.ways) == 1 or last.has_left:
            return last
        return next((tried for tried in reversed(self.ways) if tried.is_answered), last)


def _prefers_cheaper(decision: str) -> bool:
    return decision.startswith(ActionKind.PREFER_CHEAPER.value)


def _answer(call: Call, sending: Sending) -> Answer | None:
    """Return what the last attempt answered; None where nothing arrived that would be billed."""
    last = sending.last
    if isinstance(last, Whole):
        return call.dialect.answer(last.body, call.request) if last.status == 200 else None
    if sending.meter is not None and isinstance(last, Ended | Cut | Aborted):
        return sending.meter.answer()
    return None


def _bill(
    engine: Engine, call: Call, plan: Plan, sending: Sending, answer: Answer | None
) -> Generator[Effect, Any, Bill]:
    """Work out what the last attempt cost, and learn from what was reported."""
    last = sending.last
    refused = isinstance(last, Whole) and last.status != 200
    unsent = isinstance(last, Unreachable) and not last.sent
    if refused or unsent:
        return nothing_billed(call.request.terms)
    if answer is not None and answer.complete and answer.usage is not None:
        engine.calibration.learn(
            call.arrival.upstream,
            call.request.model,
            estimated_tokens=plan.layout.total_tokens,
            reported_tokens=answer.usage.prompt_tokens,
        )
        return bill_reported(call, plan, answer.usage, answer.terms or call.request.terms)
    received = answer.received if answer is not None else ""
    tokens: list[int] = (yield Count([received])) if received else [0]
    return bill_estimated(engine, call, plan, answer, tokens[0])
