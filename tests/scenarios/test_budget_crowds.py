"""Many callers at once, and no limit is ever passed: not in the store, and not by the ledger."""

import asyncio
import random
from collections import Counter

import pytest

from budget_scene import ANTHROPIC_FACE, OPENAI_FACE, BudgetScene, Face, both_faces, table
from bursar.domain.ledger import Entry
from bursar.domain.reservations import Level
from bursar.errors import UpstreamFailed
from bursar.ports import UpstreamRequest
from provider_answers import completion, message
from scripted_world import Answer, ScriptedResponse, ScriptedUpstream, fails, whole

CENT = 10**7
BROKEN_OFF = UpstreamFailed("the provider broke the connection off", sent=True)


class RandomProvider(ScriptedUpstream):
    """Answers after a while, for any cost within a request's bounds, or fails in one of many ways.

    Args:
        seed: Of what it draws.
        failing: How many of ten requests fail.
    """

    def __init__(self, seed: int, failing: int = 0) -> None:
        super().__init__(whole(b""))
        self._random = random.Random(seed)  # noqa: S311 - A test's draws are no secrets.
        self._failing = failing

    async def send(self, request: UpstreamRequest) -> ScriptedResponse:
        draw = self._random
        answer = self._failure() if draw.randrange(10) < self._failing else self._answer(request)
        for _ in range(draw.randrange(20)):
            await asyncio.sleep(0)
        one = ScriptedUpstream(answer)
        self.requests.append(request)
        return await one.send(request)

    def _answer(self, request: UpstreamRequest) -> Answer:
        read, written = self._random.randint(1, 600), self._random.randint(1, 100)
        if request.upstream == "anthropic":
            return whole(message(usage={"input_tokens": read, "output_tokens": written}))
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return whole(completion(usage=usage))

    def _failure(self) -> Answer:
        return self._random.choice(
            [
                whole({"error": {}}, 400),
                whole({"error": {}}, 429, retry_after="1"),
                whole({"error": {}}, 529),
                whole(b"<html>"),
                fails(sent=False),
                fails(sent=True, timed_out=True),
                Answer(steps=[b'{"id"', BROKEN_OFF]),
            ]
        )


LIMITS = [
    table(limit_usd="0.12"),
    table("tenant:*", limit_usd="0.05"),
    table("agent:*", "hour", limit_usd="0.03"),
    table("user:*", "week", limit_usd="0.02"),
    table("conversation:*", None, limit_usd="0.01"),
    table("agent:desk", "day", limit_tokens=10_000),
]


def spent_nusd(entries: list[Entry], scope: str) -> Counter[str]:
    """Add up what the ledger has of each tenant, agent, user or conversation."""
    sums = Counter[str]()
    for entry in entries:
        whose = entry.attribution
        name = {"tenant": whose.tenant, "agent": f"{whose.tenant}/{whose.agent}"}.get(
            scope, f"{whose.tenant}/{getattr(whose, scope, '')}"
        )
        assert entry.cost_nusd is not None
        sums[name] += entry.cost_nusd
    return sums


def headers(number: int) -> dict[str, str]:
    """Whom a caller is for: of three tenants, two agents each, seven users and twenty conversations."""
    return {
        "x-bursar-tenant": f"t{number % 3}",
        "x-bursar-agent": ("desk", "field")[number // 3 % 2],
        "x-bursar-user": f"u{number % 7}",
        "x-bursar-conversation": f"c{number % 20}",
    }


@pytest.mark.parametrize("failing", [0, 4])
@pytest.mark.parametrize("callers", [64, 256])
async def test_callers_at_once_pass_no_limit(callers: int, failing: int) -> None:
    faces = (ANTHROPIC_FACE, OPENAI_FACE)
    scene = BudgetScene(budgets=LIMITS)
    object.__setattr__(scene.world, "upstream", RandomProvider(callers + failing, failing))
    replies = await asyncio.gather(
        *[scene.play_beside(faces[n % 2].question(), headers(n)) for n in range(callers)]
    )
    statuses = Counter(reply.status for reply in replies)
    assert statuses[200] >= 10
    assert statuses[402] >= 10
    await scene.purse.check_at_rest()
    entries = scene.ledger.entries
    assert len(entries) == callers
    assert sum(spent_nusd(entries, "tenant").values()) <= 12 * CENT
    for scope, most_nusd in {"tenant": 5, "agent": 3, "user": 2, "conversation": 1}.items():
        assert max(spent_nusd(entries, scope).values()) <= most_nusd * CENT


@both_faces
async def test_callers_one_after_another_use_most_of_a_limit(face: Face) -> None:
    """To hold too much is a fault as well: what is refused in the end is what could not have fitted."""
    scene = BudgetScene(face.answer(), budgets=[table(limit_usd="0.05")])
    for _ in range(100):
        await scene.play_beside(face.question())
    level = await scene.purse.level("organisation")
    assert 0.9 * 5 * CENT < level.settled <= 5 * CENT


class Grace:
    """A budget of five cents that refuses new conversations at its limit, and active ones a cent later."""

    LIMIT_NUSD = 5 * CENT
    MOST_NUSD = 6 * CENT

    def __init__(self) -> None:
        self.face = ANTHROPIC_FACE
        ladder = [{"at": 1.0, "actions": ["refuse_new"]}]
        self.scene = BudgetScene(
            self.face.answer(), budgets=[table("tenant:*", limit_usd="0.05", ladder=ladder, grace=0.2)]
        )

    async def ask(self, conversation: str) -> int:
        """Make a call; returns its status."""
        reply = await self.scene.play_beside(self.face.question(), {"x-bursar-conversation": conversation})
        return reply.status

    async def level(self) -> Level:
        return await self.scene.purse.level("tenant:default")


async def test_new_conversations_are_refused_first_and_active_ones_go_on() -> None:
    grace = Grace()
    while await grace.ask("active") == 200 and (await grace.level()).settled < Grace.LIMIT_NUSD - CENT // 2:
        pass
    # A new conversation's call has no room within the limit soon, an active one's has.
    while await grace.ask("active") == 200 and (await grace.level()).settled < Grace.LIMIT_NUSD:
        pass
    assert await grace.ask("new") == 402
    assert await grace.ask("active") == 200
    refused = await grace.scene.play_beside(grace.face.question(), {"x-bursar-conversation": "new"})
    assert b"for new conversations" in refused.body
    while await grace.ask("active") == 200:
        pass
    level = await grace.level()
    assert Grace.LIMIT_NUSD < level.settled <= Grace.MOST_NUSD
    await grace.scene.purse.check_at_rest()


async def test_a_conversation_that_lay_idle_is_new_again() -> None:
    grace = Grace()
    while (await grace.level()).settled < Grace.LIMIT_NUSD:
        assert await grace.ask("active") == 200
    grace.scene.clock.time_s += 30 * 60
    assert await grace.ask("active") == 402


async def test_callers_at_once_never_pass_the_grace() -> None:
    grace = Grace()
    object.__setattr__(grace.scene.world, "upstream", RandomProvider(7, 2))
    for wave in range(12):
        names = [f"c{number % 8 + 4 * (number % 2) * wave}" for number in range(64)]
        await asyncio.gather(*[grace.ask(name) for name in names])
        level = await grace.level()
        assert level.held == 0
        assert level.settled <= Grace.MOST_NUSD
    assert (await grace.level()).settled > Grace.LIMIT_NUSD
    await grace.scene.purse.check_at_rest()
