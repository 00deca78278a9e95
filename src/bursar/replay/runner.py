"""Runs recorded calls through the engine, and gives their ledger entries."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import orjson

from bursar.domain.ledger import Entry, Status
from bursar.drivers.replaying import Player, ReplayDriver, Response
from bursar.effects import Reply
from bursar.exchange.arrival import Arrival
from bursar.exchange.engine import Engine
from bursar.exchange.headers import PREFIX
from bursar.exchange.life import live
from bursar.exchange.summarising import is_for_summary
from bursar.policy.budgets.refusals import BUDGET_EXCEEDED
from bursar.ports import BudgetStore, Tokenizer, UpstreamRequest
from bursar.replay.calls import RecordedCall
from bursar.replay.provider import RecordedProvider

# Recordings do not say which account a call was billed to; all of them are taken to be one account's.
_KEY = "replay"
_CREDENTIAL = hashlib.blake2b(_KEY.encode(), digest_size=16).digest()

_UPSTREAMS = {
    "anthropic.messages": (
        "anthropic",
        "/v1/messages",
        # Logs hold no headers. Fields of beta features are taken as their client may have asked for them.
        {"x-api-key": _KEY, "anthropic-version": "2023-06-01", "anthropic-beta": "replay"},
    ),
    "openai.chat": ("openai", "/chat/completions", {"authorization": f"Bearer {_KEY}"}),
}


@dataclass(slots=True)
class Run:
    """How a replay goes. Mutable.

    Attributes:
        calls: Calls played.
        made_up_times: Those whose time is made up.
        refused: Calls that the engine or the double refused, by the reason; they are in no amount.
        refused_calls: How many those are.
    """

    calls: int = 0
    made_up_times: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])
    refused_calls: int = 0


_REASONS_MAX = 100


class Follower(Protocol):
    """Follows a replay."""

    def answered(self, call: RecordedCall, at_s: float, begins_at_s: float) -> None:
        """Learn that the provider answers a call, when that was sent, and when the answer begins."""
        ...

    def record(self, entry: Entry) -> None:
        """Learn that a call that was answered has ended."""
        ...


class Runner:
    """Plays recorded calls.

    Args:
        engine: Plans and settles them.
        provider: Answers them.
        tokenizer: Counts their texts.
        follower: Told of every call that is answered; None for nobody.
        budgets: Where calls hold what they can take, if there are budgets; a store that never waits.
    """

    def __init__(
        self,
        engine: Engine,
        provider: RecordedProvider,
        tokenizer: Tokenizer,
        follower: Follower | None = None,
        budgets: BudgetStore | None = None,
    ) -> None:
        self._engine = engine
        self._provider = provider
        self._driver = ReplayDriver(tokenizer, budgets)
        self._follower = follower
        self._done: list[Entry] = []
        self.run = Run()

    def play(self, calls: Iterable[RecordedCall]) -> Iterator[Entry]:
        """Play calls, which come in order of time, and yield the entries of those that were answered."""
        for call in calls:
            self._driver.advance(call.at_s)
            self._start(call)
            yield from self._take()
        self._driver.finish()
        yield from self._take()

    def _take(self) -> list[Entry]:
        done, self._done = self._done, []
        return done

    def _start(self, call: RecordedCall) -> None:
        run = self.run
        run.calls += 1
        run.made_up_times += call.made_up
        player = Player(
            respond=partial(self._respond, call), record=self._record, ended=partial(self._end, call)
        )
        arrival = _arrival(call, f"replay-{run.calls:08d}")
        self._driver.start(live(self._engine, arrival), player, call.at_s)

    def _respond(self, call: RecordedCall, request: UpstreamRequest, at_s: float) -> Response:
        response = self._provider.respond(call, request, at_s)
        if response.status == 200 and self._follower is not None and not is_for_summary(request):
            self._follower.answered(call, at_s, response.begins_at_s)
        return response

    def _record(self, entry: Entry) -> None:
        if entry.status in {Status.ERROR, Status.REFUSED}:
            return
        self._done.append(entry)
        if self._follower is not None:
            self._follower.record(entry)

    def _end(self, call: RecordedCall, reply: Reply) -> None:
        if reply.status != 200:
            run = self.run
            run.refused_calls += 1
            reason = _message(reply.body)
            if len(run.refused) < _REASONS_MAX:
                run.refused.setdefault(reason, call.place)


def _arrival(call: RecordedCall, operation_id: str) -> Arrival:
    upstream, path, headers = _UPSTREAMS[call.dialect]
    labels = {PREFIX + name: value for name, value in call.labels.items()}
    return Arrival(
        operation_id=operation_id,
        at_s=call.at_s,
        dialect=call.dialect,
        upstream=upstream,
        path=path,
        headers={**headers, **labels},
        outgoing=headers,
        body=call.body,
        credential=_CREDENTIAL,
    )


def _message(body: bytes) -> str:
    try:
        error = orjson.loads(body)["error"]
        if error["type"] == BUDGET_EXCEEDED:
            # Its own words tell amounts, which differ from call to call.
            return f"the budget of {error['scope']} ({error['window']}) does not allow it"
        return str(error["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "the answer cannot be read"
