"""`[[budgets]]`: what is read, and what is refused by place and mend."""

import tomllib
import zoneinfo
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from bursar.domain.budgets import DEFAULT_LADDER, LIMIT_MAX, Action, ActionKind, Budget, Step
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Period, Unit
from bursar.domain.scopes import read_pattern
from bursar.errors import BadSetting
from bursar.settings import Settings, parse, parse_budget
from bursar.settings.budget_meanings import ladder_meaning, limit_meaning
from bursar.settings.budgets import budgets_of
from bursar.settings.remarks import Knowledge, remark

DAILY = {"scope": "tenant:acme", "limit_tokens": 1000, "window": "day"}
PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")


def read(*tables: dict[str, Any]) -> tuple[Budget, ...]:
    return budgets_of(parse({"budgets": list(tables)}, "bursar.toml").budgets)


def refusal(*tables: dict[str, Any]) -> str:
    with pytest.raises(BadSetting) as refused:
        read(*tables)
    message = str(refused.value)
    assert message.startswith("bursar.toml: budgets")
    assert "pydantic" not in message
    return message.removeprefix("bursar.toml: ")


def test_a_budget_is_read() -> None:
    (budget,) = read(
        {
            "scope": "tenant:acme",
            "limit_usd": "500.5",
            "window": "month",
            "timezone": "Europe/Berlin",
            "billing_day": 15,
            "ladder": [
                {"at": 0.95, "actions": ["notify:slack", "throttle"]},
                {"at": "1.0", "actions": ["refuse_new"]},
            ],
            "grace": "0.1",
        }
    )
    assert budget == Budget(
        pattern=read_pattern("tenant:acme"),
        unit=Unit.NUSD,
        limit=500_500_000_000,
        period=Period.MONTH,
        calendar=Calendar(zoneinfo.ZoneInfo("Europe/Berlin"), 15),
        ladder=(
            Step(950, (Action(ActionKind.NOTIFY, "slack"), Action(ActionKind.THROTTLE))),
            Step(1000, (Action(ActionKind.REFUSE_NEW),)),
        ),
        grace_per_mille=100,
    )


def test_a_conversations_limit_counts_in_total_unless_it_says_otherwise() -> None:
    (budget,) = read({"scope": "conversation:*", "limit_turns": 40})
    assert (budget.unit, budget.period, budget.calendar.zone) == (Unit.TURNS, Period.TOTAL, UTC)


def test_what_may_come_at_once_needs_no_window_and_may_stand_beside_a_limit() -> None:
    at_once = {"requests_per_minute": 60, "tokens_per_minute": "9000", "concurrent_calls": 4}
    budgets = read({**DAILY, **at_once})
    assert [(budget.unit, budget.limit, budget.period) for budget in budgets] == [
        (Unit.TOKENS, 1000, Period.DAY),
        (Unit.REQUESTS, 60, Period.MINUTE),
        (Unit.TOKENS, 9000, Period.MINUTE),
        (Unit.OPEN_CALLS, 4, Period.TOTAL),
    ]
    assert len(read({"scope": "key:*", **at_once})) == 3


def test_only_a_wide_months_money_has_a_ladder_unasked() -> None:
    monthly = {"scope": "tenant:*", "limit_usd": 500, "window": "month"}
    assert read(monthly)[0].ladder == DEFAULT_LADDER
    assert read({**monthly, "ladder": []})[0].ladder == ()
    assert read({**monthly, "scope": "agent:*"})[0].ladder == ()


@pytest.mark.parametrize("at", [0.001, 0.29, 0.57, 0.95, "0.950", 1, 1.001, 2])
def test_a_share_is_read_exactly(at: Any) -> None:
    (budget,) = read({**DAILY, "ladder": [{"at": at, "actions": ["throttle"]}]})
    assert budget.ladder[0].at_per_mille == round(float(at) * 1000)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("limit_usd", "-5", "an amount here is more than 0"),
        ("limit_usd", 0, "an amount here is more than 0"),
        ("limit_usd", 0.5, 'quote the number: "0.5"'),
        ("limit_usd", "0.0000000001", "finer than a nanodollar"),
        ("limit_usd", "4611686018.427387905", "at most 4,611,686,018 US dollars"),
        ("limit_usd", "much", "is no amount of US dollars"),
        ("limit_usd", "1e999999", "is no amount"),
        ("limit_usd", True, "True"),
        ("limit_tokens", -1, "whole number from 1"),
        ("limit_tokens", 0, "whole number from 1"),
        ("limit_tokens", 40.0, "whole number from 1"),
        ("limit_tokens", True, "whole number from 1"),
        ("limit_tokens", LIMIT_MAX + 1, "whole number from 1"),
        ("limit_tokens", "٤٠", "whole number from 1"),
        ("window", "fortnight", "'hour', 'day', 'week', 'month' or 'total'"),
        ("timezone", "Berlin", 'did you mean "Europe/Berlin"?'),
        ("timezone", "Europe/Berln", '"Europe/Berlin"'),
        ("timezone", "../../etc/passwd", "there is no such time zone"),
        ("timezone", "Europe", "there is no such time zone"),
        ("timezone", "", "there is no such time zone"),
        ("timezone", "a\0b", "there is no such time zone"),
        ("timezone", "x" * 10_240, "there is no such time zone"),
        ("billing_day", 32, "less than or equal to 31"),
        ("billing_day", 0, "greater than or equal to 1"),
        ("grace", 0.6, "a share from 0 to 0.5"),
        ("grace", -0.1, "a share from 0 to 0.5"),
        ("scope", "team:x", "a scope is"),
        ("scope", "tenant:", "a scope is"),
        ("scope", "agent:acme/", 'write "agent:TENANT/NAME"'),
        ("scope", "tenant:" + "a" * 10_240, "a name has 1 to 256 printable characters"),
        ("scope", "agent:acme/a\nb", "a name has 1 to 256 printable characters"),
        ("scope", 5, "valid string"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(key: str, value: Any, said: str) -> None:
    message = refusal({"scope": "tenant:acme", "window": "month", "limit_turns": 5, key: value})
    assert message.startswith(f"budgets.0.{key}: ")
    assert said in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        (
            [{"at": 0.8, "actions": ["throttle"]}, {"at": 0.5, "actions": ["throttle"]}],
            "0.5 follows 0.8; sort them",
        ),
        (
            [{"at": 0.5, "actions": ["throttle"]}, {"at": "0.500", "actions": ["refuse"]}],
            "0.5 follows 0.5; put their actions into one step",
        ),
        ([{"at": 0.5, "actions": ["explode"]}], "budgets.0.ladder.0.actions.0: there is no such action"),
        ([{"at": 0.5, "actions": ["notify:"]}], "there is no such action"),
        ([{"at": 0.5, "actions": ["refuse:now"]}], "there is no such action"),
        ([{"at": 0.5, "actions": []}], "a step does nothing"),
        ([{"at": 0.5, "actions": ["refuse", "refuse"]}], "an action stands twice"),
        ([{"at": 0.5, "acton": ["refuse"]}], 'did you mean "actions"?'),
        ([{"at": 0, "actions": ["refuse"]}], "budgets.0.ladder.0.at: "),
        ([{"at": 0.0005, "actions": ["refuse"]}], "up to three places"),
        ([{"at": float("nan"), "actions": ["refuse"]}], "budgets.0.ladder.0.at: "),
        ([{"at": 1.1, "actions": ["refuse"]}], "raise the limit itself"),
        (5, "budgets.0.ladder: "),
    ],
)
def test_a_ladder_that_cannot_be_climbed_is_refused(ladder: Any, said: str) -> None:
    assert said in refusal({**DAILY, "ladder": ladder})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"scope": "tenant:acme"}, "limits nothing; write one of limit_usd, limit_tokens"),
        ({"scope": "tenant:acme", "limit_tokens": 5}, "says no window for limit_tokens"),
        ({**DAILY, "limit_turns": 5}, "holds both limit_tokens and limit_turns"),
        ({**DAILY, "billing_day": 5}, "billing_day counts for window"),
        ({"scope": "key:*", "concurrent_calls": 5, "window": "day"}, "window counts beside limit_usd"),
        ({"scope": "key:*", "concurrent_calls": 5, "ladder": []}, "ladder counts beside limit_usd"),
        ({"limit_tokens": 5, "window": "day"}, "budgets.0: scope is missing"),
        ({**DAILY, "limt_usd": "5"}, 'budgets.0.limt_usd: unknown setting; did you mean "limit_usd"?'),
    ],
)
def test_a_table_that_says_too_little_or_too_much_is_refused(table: dict[str, Any], said: str) -> None:
    assert said in refusal(table)


def test_two_limits_on_the_same_are_refused_however_they_are_written() -> None:
    said = refusal(
        {**DAILY, "scope": "agent:desk"}, DAILY, {**DAILY, "scope": "agent:*/desk", "limit_tokens": 5}
    )
    assert said.startswith("budgets: 0 and 2 (counted from 0) both limit the tokens of agent:desk per day")
    assert len(read(DAILY, {**DAILY, "window": "week"}, {**DAILY, "scope": "tenant:*"})) == 3


@pytest.mark.parametrize("value", [5, "x", {"scope": "tenant:acme"}])
def test_what_is_no_array_of_tables_is_told_how_to_be_one(value: Any) -> None:
    with pytest.raises(BadSetting, match=r"write \[\[budgets\]\] above each"):
        parse({"budgets": value}, "bursar.toml")


def test_a_machine_without_time_zones_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.settings.values.available_timezones", set)
    assert "pip install tzdata" in refusal({**DAILY, "timezone": "Europe/Nowhere"})
    assert read({**DAILY, "timezone": "UTC"})[0].calendar.zone is UTC


def test_a_stored_budget_is_read_like_one_of_the_file() -> None:
    entry = parse_budget({"scope": "conversation:acme/c1", "limit_usd": "2"}, "the request")
    assert entry.budgets()[0].limit == 2 * 10**9
    with pytest.raises(BadSetting, match=r"the request: limit_usd"):
        parse_budget({"scope": "conversation:acme/c1", "limit_usd": "-2"}, "the request")


def test_budgets_are_explained() -> None:
    monthly, hourly, rate = read(
        {
            "scope": "tenant:*",
            "limit_usd": "1500",
            "window": "month",
            "billing_day": 5,
            "timezone": "Asia/Tokyo",
        },
        {"scope": "agent:desk", "limit_tokens": 40_000, "window": "hour"},
        {"scope": "agent:desk", "concurrent_calls": 1},
    )
    assert limit_meaning(monthly) == "$1,500.00 a month (Asia/Tokyo, from day 5)"
    assert ladder_meaning(monthly) == (
        "at 50 %: notify:admin; at 80 %: notify:slack, prefer_cheaper; at 95 %: notify:oncall, throttle; "
        "no new conversation's call beyond 100 %, none of an active one beyond 105 %"
    )
    assert (limit_meaning(hourly), ladder_meaning(hourly)) == (
        "40,000 tokens an hour",
        "no call beyond 100 %",
    )
    assert limit_meaning(rate) == "1 concurrent call"


def doubts(**tables: Any) -> list[str]:
    settings = parse(tables, "bursar.toml")
    return [f"{each.place}: {each.problem}" for each in remark(settings, Knowledge(lambda _: True, 64_000))]


def test_a_notifier_that_nobody_set_up_is_doubted() -> None:
    ladder = [{"at": 0.5, "actions": ["notify:slack"]}, {"at": 0.6, "actions": ["notify:slack"]}]
    (doubt,) = doubts(budgets=[{**DAILY, "ladder": ladder}])
    assert doubt == "budgets.0.ladder: nobody is told at the steps: no such notifier is set up (slack)"
    (doubt,) = doubts(budgets=[{"scope": "organisation", "limit_usd": 5, "window": "month"}])
    assert "(admin, slack, oncall)" in doubt
    slack = {"slack": {"url_env": "SLACK"}}
    assert doubts(budgets=[{**DAILY, "ladder": ladder}], notify=slack) == []


def test_what_does_nothing_is_doubted() -> None:
    assert doubts(budgets=[DAILY]) == []
    said = doubts(budgets=[{**DAILY, "window": "hour", "timezone": "Europe/Berlin", "grace": 0.1}])
    assert [each.partition(":")[0] for each in said] == ["budgets.0.grace", "budgets.0.timezone"]
    assert "unpriced_worst_case_usd: does nothing" in doubts(unpriced_worst_case_usd="1")[0]


def test_unpriced_calls_under_a_limit_on_money_are_doubted() -> None:
    money = {"scope": "key:*", "limit_usd": 5, "window": "day"}
    (doubt,) = doubts(unpriced="admit", budgets=[money])
    assert doubt.startswith("unpriced: where a budget limits money")
    assert doubts(unpriced="admit", budgets=[money], unpriced_worst_case_usd="0.5") == []
    assert doubts(unpriced="admit", budgets=[DAILY]) == []


def test_the_pages_example_of_budgets_is_right() -> None:
    example = PAGE.partition("## Budgets")[2].partition("```toml\n")[2].partition("```")[0]
    entries = parse(tomllib.loads(example), "bursar.toml").budgets
    assert [entry.scope for entry in entries] == ["tenant:acme", "conversation:*", "agent:*"]


def test_every_key_of_a_budget_is_on_the_page() -> None:
    section = PAGE.partition("## Budgets")[2]
    for key in type(parse_budget(DAILY, "f")).model_fields:
        assert f"`{key}`" in section, key


def test_without_settings_there_is_no_budget() -> None:
    assert Settings().budgets == ()
    assert Settings().count_margin == 100


def test_a_ladder_that_is_no_list_and_a_missing_scope_are_told_with_their_mend() -> None:
    with pytest.raises(BadSetting, match=r"ladder: write \[\] for none, or a list of \{ at, actions \}"):
        parse_budget({"scope": "tenant:a", "limit_turns": 1, "window": "day", "ladder": "none"}, "b")
    with pytest.raises(BadSetting, match='scope is missing; write whom it is for, such as scope = "tenant:'):
        parse_budget({"limit_turns": 1, "window": "day"}, "b")
