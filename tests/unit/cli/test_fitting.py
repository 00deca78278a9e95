"""Tables on narrow terminals."""

import io
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from alert_crossings import START_S, crossing
from bursar.adapters.alerts.outbox import Outbox
from bursar.cli.alert_screen import show_alerts
from bursar.cli.budget_screen import show_states
from bursar.cli.fitting import Column, show_fitted
from bursar.cli.key_screen import show_keys
from bursar.cli.tables import minute
from bursar.domain.budgets import Budget
from bursar.domain.reservations import Counter, Level, Period, Unit
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern
from bursar.policy.budgets.states import state_of

USD = 10**9
DAY_S = 86_400


def screen(width: int) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, highlight=False), out


def folded(shown: str) -> str:
    """Return a table's first cells, one after the other: what was folded is whole again."""
    end = heading(shown).index("window")
    return "".join(line[:end].strip() for line in shown.splitlines())


def heading(shown: str) -> str:
    return next(line for line in shown.splitlines() if "scope" in line)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_scope_window_and_money_of_a_budget_stay_whole(width: int) -> None:
    scope = Scope(ScopeKind.CONVERSATION, "acme-international", "c-1842-of-the-night-shift")
    budget = Budget(ScopePattern.only(scope), Unit.NUSD, 12_345 * USD, Period.DAY)
    counter = Counter(str(scope), Unit.NUSD, Period.DAY, 20_000 * DAY_S, 20_001 * DAY_S)
    state = state_of(budget, counter, Level(6_789 * USD, 4 * USD), 20_000 * DAY_S + 40_000.0)
    console, out = screen(width)
    show_states(console, [replace(state, alert_state="undeliverable", is_blocked=True)], {}, left_out=0)
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for whole in ("window", "day", "$6,789.00", "$12,345.00"):
        assert whole in shown
    assert str(scope) in folded(shown)
    assert ("forecast" in heading(shown)) == (width == 200)
    assert ("Left out, since the terminal is narrow: forecast" in shown) == (width < 200)


@pytest.mark.parametrize("width", [80, 100])
def test_ids_and_money_of_keys_stay_whole(width: int) -> None:
    row: dict[str, Any] = {
        "id": "k-3f0c91d27a44",
        "tenant": "acme-international",
        "agent": "help-desk-of-the-night",
        "role": "reader",
        "models": ["claude-haiku-*", "gpt-6-mini"],
        "tasks": ["triage"],
        "limits": [{"scope": "key:k-3f0c91d27a44", "limit_usd": "12345.50", "window": "month"}],
        "state": "active",
        "former_until": "2026-11-25T12:00:00Z",
        "expires_at": "2027-01-31T00:00:00Z",
    }
    console, out = screen(width)
    show_keys(console, [row])
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for whole in ("k-3f0c91d27a44", "$12,345.50", "active"):
        assert whole in shown


@pytest.mark.parametrize("width", [80, 100])
def test_ids_scopes_and_money_of_alerts_stay_whole(width: int, tmp_path: Any) -> None:
    outbox = Outbox.open(tmp_path)
    outbox.record([(crossing(fresh=(500, 800)), START_S + 60.0)], ("bob",), START_S + 60.0)
    console, out = screen(width)
    show_alerts(console, outbox.newest(None))
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for whole in ("tenant:acme", "2026-10-24", "pending", "80 %"):
        assert whole in shown


def test_names_that_callers_chose_neither_steer_the_terminal_nor_style_it() -> None:
    console, out = screen(80)
    show_fitted(console, "t", (Column("name"),), [(("[red]a\x1b[2J",), None)], left_out_first=())
    assert r"[red]a\x1b[2J" in out.getvalue()


def test_a_moment_is_said_to_the_minute_and_with_its_zone_unless_that_is_utc() -> None:
    assert minute("2026-12-01T00:00:00Z") == "2026-12-01 00:00"
    assert minute("2026-12-01T00:00:00+01:00") == "2026-12-01 00:00+0100"
    assert minute(0.0) == "1970-01-01 00:00"
    assert minute(None) == "never"
