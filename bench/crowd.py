"""A crowd of callers that press on budgets of every scope at once, and what became of their calls.

Five groups of callers: all of a group share one conversation, one user, one agent, one tenant, or nothing
but the organisation. So each kind of scope has one that is pressed harder than any other.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.conversations import text

SCOPES = ("conversation", "user", "agent", "tenant", "organisation")

# What they can take, in proportion to a conversation. The organisation's is a little more than what all
# groups have taken when the tenant is full, so that the last one's callers meet no other limit.
_SHARES = {"conversation": 2, "user": 3, "agent": 4, "tenant": 5, "organisation": 21}

# What an average call of the crowd costs, and how often over a tenant's callers ask for its limit.
_CALL_NUSD = 1_000_000
_PRESSURE = 2.2

_MODELS = ("claude-sonnet-4-6", "claude-haiku-4-5", "gpt-4o")
_PATIENCE_S = 60
_TRIES_MAX = 200
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How callers behave.

    Attributes:
        callers: How many there are at once.
        calls: What each asks, one after another.
        leaving: Share of calls whose client leaves before the answer is there, or may be.
    """

    callers: int
    calls: int
    leaving: float = 0.0


@dataclass(slots=True)
class Outcome:
    """What became of a crowd's calls.

    Attributes:
        answered: Operation ids of the calls whose answers arrived whole.
        refused: Calls that budgets refused, by kind of scope.
        statuses: All others that were answered, by status.
        left: Calls whose client left.
        broken: Calls whose connection broke off.
    """

    answered: list[str] = field(default_factory=list[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    statuses: Counter[int] = field(default_factory=Counter[int])
    left: int = 0
    broken: int = 0


def limits_nusd(behaviour: Behaviour) -> dict[str, int]:
    """Return limits for each kind of scope that a crowd wants more than it may have of."""
    wanted_nusd = behaviour.callers * behaviour.calls * _CALL_NUSD // len(SCOPES)
    part_nusd = int(wanted_nusd / _SHARES["tenant"] / _PRESSURE)
    return {kind: part_nusd * share for kind, share in _SHARES.items()}


def name_conversation(number: int) -> str:
    """Say whom a caller is for: tenant, agent, user and conversation, with full stops between."""
    shared = SCOPES[number % len(SCOPES)]
    kinds = ("tenant", "agent", "user", "conversation")
    depth = kinds.index(shared) if shared in kinds else -1
    return ".".join(
        f"{kind[0]}-{shared}" if place <= depth else f"{kind[0]}{number}" for place, kind in enumerate(kinds)
    )


def scopes_of(conversation: str) -> dict[str, str]:
    """Return the scope of each kind that a conversation falls under, by the name it has been given."""
    tenant, agent, user, _ = conversation.split(".")
    return {
        "organisation": "organisation",
        "tenant": f"tenant:{tenant}",
        "agent": f"agent:{tenant}/{agent}",
        "user": f"user:{tenant}/{user}",
        "conversation": f"conversation:{tenant}/{conversation}",
    }


def labels_of(conversation: str) -> dict[str, str]:
    """Return the headers that say whom a call is for."""
    tenant, agent, user, _ = conversation.split(".")
    return {
        "x-bursar-tenant": tenant,
        "x-bursar-agent": agent,
        "x-bursar-user": user,
        "x-bursar-conversation": conversation,
    }


async def gather_crowd(behaviour: Behaviour, where: Callable[[], str], seed: int) -> Outcome:
    """Let a crowd make its calls, and return what became of them.

    Args:
        behaviour: How it behaves.
        where: Returns the URL of the gateway that the next call goes to.
        seed: Of what it draws.
    """
    outcome = Outcome()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        callers = [_Caller(number, behaviour, outcome, seed) for number in range(behaviour.callers)]
        await asyncio.gather(*[caller.call_all(session, where) for caller in callers])
    return outcome


class _Caller:
    def __init__(self, number: int, behaviour: Behaviour, outcome: Outcome, seed: int) -> None:
        self._draw = random.Random(f"{seed} {number}")  # noqa: S311 - load, not a secret
        self._labels = labels_of(name_conversation(number))
        self._behaviour = behaviour
        self._outcome = outcome

    async def call_all(self, session: aiohttp.ClientSession, where: Callable[[], str]) -> None:
        for _ in range(self._behaviour.calls):
            stays_s = None
            if self._draw.random() < self._behaviour.leaving:
                stays_s = self._draw.uniform(0.01, 0.5)
            try:
                async with asyncio.timeout(stays_s):
                    await self._call_somewhere(session, where)
            except TimeoutError:
                self._outcome.left += 1
            except (aiohttp.ClientError, OSError):
                self._outcome.broken += 1

    async def _call_somewhere(self, session: aiohttp.ClientSession, where: Callable[[], str]) -> None:
        """Make a call to whichever gateway is there."""
        for _ in range(_TRIES_MAX):
            try:
                return await self._call(session, where())
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(_PAUSE_S)
        raise aiohttp.ClientError("no gateway is there")

    async def _call(self, session: aiohttp.ClientSession, url: str) -> None:
        path, body = self._request()
        outcome = self._outcome
        async with session.post(url + path, data=body, headers=_HEADERS | self._labels) as answer:
            content = await answer.read()
            if answer.status == 200 and b'"error"' not in content[-400:]:
                outcome.answered.append(answer.headers["x-bursar-operation-id"])
            elif answer.status == 402:
                scope: str = json.loads(content)["error"]["scope"]
                outcome.refused[scope.split(":", 1)[0]] += 1
            else:
                outcome.statuses[answer.status] += 1

    def _request(self) -> tuple[str, bytes]:
        draw = self._draw
        model = draw.choice(_MODELS)
        request: dict[str, Any] = {
            "model": model,
            "max_tokens": draw.randrange(20, 300),
            "messages": [{"role": "user", "content": text(draw, draw.randrange(50, 2_000))}],
            "stream": draw.random() < 0.5,
        }
        path = "/v1/chat/completions" if model.startswith("gpt") else "/v1/messages"
        return path, json.dumps(request).encode()


_HEADERS = {
    "content-type": "application/json",
    "x-api-key": "bench",
    "authorization": "Bearer bench",
    "anthropic-version": "2023-06-01",
}
