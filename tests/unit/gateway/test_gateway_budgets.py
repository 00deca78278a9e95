"""Budgets over HTTP."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from asgi_client import Answered, Asked, ask, get
from budget_scene import table
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.domain.keys import Role
from bursar.domain.reservations import Level, Unit
from bursar.domain.scopes import Scope, ScopeKind, read_pattern
from bursar.errors import CallerMistake, StoreFailed
from bursar.gateway.app import Gateway, GatewayOptions, Lifetime
from bursar.gateway.auth import Guard
from bursar.gateway.budgets import BudgetPages, Raise
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.states import BudgetState
from bursar.settings.budgets import budgets_of
from gateway_scene import GatewayScene
from key_cases import ring_with

KEY = "open sesame"
TABLES = (
    table("organisation", limit_usd="100"),
    table("tenant:*", limit_usd="1"),
    table("agent:*", limit_turns=9),
    table("user:*", limit_turns=9),
    table("conversation:*", None, limit_turns=2),
)


@dataclass
class Raised:
    """Takes the place of what raises caps."""

    asked: list[Raise] = field(default_factory=list[Raise])
    mistake: str = ""

    async def __call__(self, asked: Raise) -> Sequence[BudgetState]:
        if self.mistake:
            raise CallerMistake(self.mistake)
        self.asked.append(asked)
        return []


class Desk:
    """A gateway with budgets."""

    def __init__(self, admin_key: str | None = KEY) -> None:
        scene = GatewayScene()
        scene.engine.budgets = BudgetBook(budgets_of(TABLES))
        self.engine, self.clock = scene.engine, scene.clock
        self.store = MemoryBudgets()
        self.raised = Raised()
        pages = BudgetPages(scene.engine, self.store, scene.clock, raise_caps=self.raised)
        guard = self.guard = Guard(operator_token=admin_key)
        options = GatewayOptions(1 << 20, {}, frozenset(), budgets=pages, guard=guard)
        self.app = Gateway(
            scene.engine, scene.world, options, scene.health, lifetime=Lifetime(AsyncExitStack())
        )

    async def take(self, scope: Scope, amount: int) -> None:
        now_s = self.clock.now()
        for _, _, counter in self.engine.budgets.for_scopes((scope,), now_s):
            await self.store.correct(counter, amount, now_s)

    async def resume(self, body: Any, name: str = "c1", **headers: str) -> Answered:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = f"/v1/bursar/conversations/{name}/resume"
        asked = {each.replace("_", "-"): value for each, value in headers.items()}
        answered = await ask(
            self.app, Asked("POST", target, {"x-bursar-tenant": "acme", **asked}, (content,))
        )
        assert answered is not None
        return answered


async def test_a_caller_sees_its_own_scopes_and_nothing_of_others() -> None:
    desk = Desk()
    for tenant, amount in (("acme", 250_000_000), ("rival", 777_777_777)):
        await desk.take(Scope(ScopeKind.TENANT, "", tenant), amount)
    await desk.take(Scope(ScopeKind.CONVERSATION, "rival", "c1"), 2)
    await desk.take(Scope.organisation(), 1_027_777_777)
    answered = await get(
        desk.app,
        "/v1/bursar/budget",
        x_bursar_tenant="acme",
        x_bursar_agent="desk",
        x_bursar_user="u",
        x_bursar_conversation="c1",
    )
    rows = {row["scope"]: row for row in answered.json["rows"]}
    assert list(rows) == ["tenant:acme", "agent:acme/desk", "user:acme/u", "conversation:acme/c1"]
    assert rows["tenant:acme"]["current_cost"] == "0.250000000"
    assert rows["tenant:acme"]["usage_pct"] == "25.0"
    assert rows["conversation:acme/c1"]["current_cost"] == 0
    assert b"777" not in answered.body


async def test_a_stop_shows_as_blocked_in_all_that_it_holds() -> None:
    desk = Desk()
    desk.engine.stops = frozenset({read_pattern("tenant:acme")})
    for tenant, is_blocked in (("acme", True), ("rival", False)):
        answered = await get(desk.app, "/v1/bursar/budget", x_bursar_tenant=tenant)
        assert {row["blocked"] for row in answered.json["rows"]} == {is_blocked}


async def test_a_tenants_name_may_not_be_a_text_of_10_kb() -> None:
    answered = await get(Desk().app, "/v1/bursar/budget", x_bursar_tenant="x" * 10_240)
    assert answered.status == 400


@pytest.mark.parametrize("name", ["'; DROP TABLE entries; --", "]] redis.call('FLUSHALL') --[["])
async def test_code_in_a_name_is_a_name(name: str) -> None:
    answered = await get(Desk().app, "/v1/bursar/budget", x_bursar_tenant=name)
    assert answered.json["rows"][0]["scope"] == f"tenant:{name}"


async def test_a_store_that_fails_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> Sequence[Level]:
        raise StoreFailed("the store is down")

    desk = Desk()
    monkeypatch.setattr(desk.store, "read", fail)
    answered = await get(desk.app, "/v1/bursar/budget")
    assert (answered.status, answered.json["error"]["message"]) == (503, "the store is down")


@pytest.mark.parametrize(
    "headers",
    [{"x_bursar_key": KEY}, {"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"}],
)
async def test_the_operator_raises_a_cap_with_the_token(headers: dict[str, str]) -> None:
    desk = Desk()
    answered = await desk.resume({"limit_usd": "2", "limit_turns": 5, "force": True}, "a%2Fb c", **headers)
    assert answered.status == 200
    scope = Scope(ScopeKind.CONVERSATION, "acme", "a/b c")
    assert desk.raised.asked == [Raise(scope, {Unit.NUSD: 2 * 10**9, Unit.TURNS: 5}, force=True)]


async def test_whoever_raises_a_cap_with_a_key_is_named_by_it() -> None:
    key, ring = ring_with(role=Role.ADMIN)
    desk = Desk()
    desk.guard.ring = ring
    assert (await desk.resume({"limit_usd": "2"}, x_bursar_key=key)).status == 200
    assert [asked.by for asked in desk.raised.asked] == ["k-1"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_bursar_key": "open"},
        {"authorization": KEY},
        {"authorization": "Bearer "},
        {"x_bursar_key": "é"},
    ],
)
async def test_nobody_else_raises_one(headers: dict[str, str]) -> None:
    desk = Desk()
    answered = await desk.resume({"limit_usd": "2"}, **headers)
    assert (answered.status, desk.raised.asked) == (401, [])


async def test_without_a_token_in_the_settings_nobody_does_and_is_told_why() -> None:
    answered = await Desk(admin_key=None).resume({"limit_usd": "2"}, x_bursar_key="")
    assert answered.status == 403
    assert "admin_key_env" in answered.json["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        {"limit_usd": "-1"},
        {"limit_usd": "0"},
        {"limit_usd": 0.5},
        {"limit": 2},
        {"limit_usd": "2", "force": "yes"},
    ],
)
async def test_what_is_no_limit_is_refused(body: Any) -> None:
    desk = Desk()
    answered = await desk.resume(body, x_bursar_key=KEY)
    assert (answered.status, desk.raised.asked) == (400, [])


async def test_without_a_limit_a_conversation_only_goes_on() -> None:
    desk = Desk()
    assert (await desk.resume({}, x_bursar_key=KEY)).status == 200
    assert [asked.limits for asked in desk.raised.asked] == [{}]


async def test_a_body_that_is_too_long_is_refused() -> None:
    assert (await Desk().resume(b" " * 5_000, x_bursar_key=KEY)).status == 413


@pytest.mark.parametrize("name", ["", "x" * 257, "%0A"])
async def test_what_names_no_conversation_is_refused(name: str) -> None:
    answered = await Desk().resume({"limit_usd": "2"}, name, x_bursar_key=KEY)
    assert answered.status in {400, 404}


async def test_what_must_not_be_raised_is_told() -> None:
    desk = Desk()
    desk.raised.mistake = "not above what is spent"
    answered = await desk.resume({"limit_usd": "2"}, x_bursar_key=KEY)
    assert (answered.status, answered.json["error"]["message"]) == (400, "not above what is spent")


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [("POST", "/v1/bursar/budget", "GET"), ("GET", "/v1/bursar/conversations/c/resume", "POST")],
)
async def test_other_methods_are_told_which_to_use(method: str, target: str, allowed: str) -> None:
    answered = await ask(Desk().app, Asked(method, target, {"x-bursar-key": KEY}))
    assert answered is not None
    assert (answered.status, answered.headers["allow"]) == (405, allowed)
