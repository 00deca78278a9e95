"""`[notify.NAME]`."""

from pathlib import Path
from typing import Any

import pytest

from bursar.errors import BadSetting
from bursar.settings import parse
from bursar.settings.budgets import budgets_of
from bursar.settings.notify import unknown_notifiers
from bursar.wiring.gateway import build_gateway, find_obstacles

SECRET = "slack://hush-hush"


def notify(**table: object):
    return parse({"notify": {"slack": table}}, "bursar.toml")


def test_a_notifier_names_the_variable_with_its_url() -> None:
    assert notify(url_env="BURSAR_SLACK").notify["slack"].url_env == "BURSAR_SLACK"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"url": SECRET}, "secrets, which do not belong into a file"),
        ({"url": SECRET, "url_env": "BURSAR_SLACK"}, "secrets, which do not belong into a file"),
        ({"url_env": SECRET}, "the URL; that itself does not belong into a file"),
        ({"url_env": ""}, "names an environment variable"),
        ({"urlenv": "BURSAR_SLACK"}, 'did you mean "url_env"?'),
        ({}, "notify.slack.url_env"),
    ],
)
def test_what_is_wrong_is_told_and_no_secret_shown(table: dict[str, object], problem: str) -> None:
    with pytest.raises(BadSetting) as found:
        notify(**table)
    assert problem in str(found.value)
    assert "hush" not in str(found.value)


def test_names_that_nobody_set_up_are_found_once() -> None:
    table = {"scope": "tenant:*", "limit_usd": 5, "window": "month"}
    budgets = budgets_of(parse({"budgets": [table]}, "bursar.toml").budgets)
    assert list(unknown_notifiers([*budgets, *budgets], ["slack"])) == ["admin", "oncall"]


def test_a_gateway_starts_only_if_every_notifier_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("NO_URL", "hush-hush")
    tables = {"one": {"url_env": "NOT_SET"}, "the other": {"url_env": "NO_URL"}}
    settings = parse({"notify": tables, "storage": {"dir": str(tmp_path)}}, "bursar.toml")
    said = [str(each) for each in find_obstacles(settings)]
    assert [each.partition(": ")[0] for each in said] == ["notify.one.url_env", 'notify."the other".url_env']
    assert "hush" not in "".join(said)
    with pytest.raises(BadSetting, match="NOT_SET is not set"):
        build_gateway(settings)


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ({"anomalies": {"notify": ["bob"]}}, "anomalies.notify"),
        ({"defaults": {"loops": {"notify": ["bob"]}}}, "defaults.loops.notify"),
        ({"tenants": {"a b": {"loops": {"notify": ["bob"]}}}}, 'tenants."a b".loops.notify'),
        ({"agents": {"desk": {"loops": {"notify": ["bob"]}}}}, "agents.desk.loops.notify"),
    ],
)
def test_whoever_is_to_be_told_of_a_finding_must_be_set_up(
    tmp_path: Path, tables: dict[str, Any], place: str
) -> None:
    settings = parse({**tables, "storage": {"dir": str(tmp_path)}}, "bursar.toml")
    assert [str(each) for each in find_obstacles(settings)] == [
        f"{place}: no notifier 'bob' is set up; add [notify.bob], or leave it out"
    ]
    with pytest.raises(BadSetting, match="no notifier 'bob' is set up"):
        build_gateway(settings)


def test_who_is_told_of_a_stopped_conversation_is_a_matter_of_the_agent() -> None:
    tables: dict[str, Any] = {
        "defaults": {"loops": {"notify": ["slack"]}},
        "agents": {
            "deployer": {"loops": {"notify": ["oncall"], "repeats": 5}},
            "quiet": {"loops": {"notify": []}},
        },
    }
    policies = parse(tables, "bursar.toml").layers.book()
    told = {agent: policies.for_agent("acme", agent).loops.notify for agent in ("desk", "deployer", "quiet")}
    assert told == {"desk": ("slack",), "deployer": ("oncall",), "quiet": ()}
