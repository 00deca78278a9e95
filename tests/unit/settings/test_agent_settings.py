"""What is on, and for whom."""

from typing import Any

import pytest

from bursar.errors import BadSetting
from bursar.policy.agent import AgentPolicy, PolicyBook
from bursar.policy.tool_results.limits import Limits
from bursar.settings import parse


def book(**tables: Any) -> PolicyBook:
    return parse(tables, "bursar.toml").layers.book()


def refusal(**tables: Any) -> str:
    with pytest.raises(BadSetting) as error:
        parse(tables, "bursar.toml")
    return str(error.value)


def test_without_settings_everybody_has_the_defaults() -> None:
    policy = book().for_agent("acme", "desk")
    assert policy == AgentPolicy()
    assert policy.tool_results.mode == "lossless"
    assert not policy.history.enabled
    assert policy.output.limits_for("").is_empty


def test_what_is_more_particular_goes_first_key_by_key() -> None:
    policies = book(
        defaults={"tool_results": {"max_rows": 50, "mode": "truncate"}, "max_output_tokens": 4000},
        tenants={"acme": {"tool_results": {"max_tokens": 800}}},
        agents={
            "desk": {"tool_results": {"max_rows": 20}, "max_output_tokens": 2000},
            "acme/desk": {"tool_results": {"mode": "off"}},
        },
    )
    assert policies.for_agent("x", "y").tool_results.limits == Limits(rows_max=50)
    assert policies.for_agent("acme", "y").tool_results.limits == Limits(800, 50)
    assert policies.for_agent("x", "desk").tool_results.limits == Limits(rows_max=20)
    both = policies.for_agent("acme", "desk")
    assert both.tool_results.limits == Limits(800, 20)
    assert both.tool_results.mode == "off"
    assert both.output.limits_for("any").max_tokens == 2000


def test_an_agent_and_a_tenant_that_are_named_apart_meet_too() -> None:
    policies = book(
        tenants={"acme": {"prefix_cache": {"enabled": False}}}, agents={"desk": {"history_tokens": 9000}}
    )
    both = policies.for_agent("acme", "desk")
    assert not both.prefix_cache
    assert both.history.tokens == 9000


def test_the_designs_example_is_read() -> None:
    policy = book(
        agents={
            "airline-support": {
                "history_tokens": 40_000,
                "max_output_tokens": 2_000,
                "tool_results": {"mode": "lossless"},
            }
        }
    ).for_agent("default", "airline-support")
    assert (policy.history.tokens, policy.output.limits.max_tokens) == (40_000, 2_000)


def test_single_tools_and_tasks_differ_from_the_rest() -> None:
    policy = book(
        agents={
            "desk": {
                "max_output_tokens": 2000,
                "output": {"stop": ["END"], "tasks": {"triage": {"max_output_tokens": 50, "effort": "low"}}},
                "tool_results": {
                    "mode": "truncate",
                    "max_tokens": 600,
                    "tools": {"look_up": {"mode": "lossless"}, "search": {"max_rows": 3}},
                },
            }
        }
    ).for_agent("", "desk")
    assert policy.output.limits_for("triage").max_tokens == 50
    assert policy.output.limits_for("triage").stop == ("END",)
    assert policy.output.limits_for("other").effort is None
    assert policy.tool_results.limits_for("look_up") is None
    assert policy.tool_results.limits_for("search") == Limits(600, 3)
    assert policy.tool_results.limits_for("other") == Limits(600)


def test_the_response_cache_is_set_per_agent() -> None:
    section = {"temperature_0": False, "tasks": ["faq"], "safe_tools": ["look_up"], "ttl_s": 60}
    options = book(agents={"desk": {"response_cache": section}}).for_agent("", "desk").response_cache
    assert not options.temperature_0
    assert (options.tasks, options.safe_tools) == (frozenset({"faq"}), frozenset({"look_up"}))


def test_prefix_caching_can_be_switched_off_for_all() -> None:
    assert not book(prefix_cache={"enabled": False}).for_agent("", "").prefix_cache


@pytest.mark.parametrize(("share", "per_mille"), [("0.05", 50), (0.05, 50), (0, 0), ("0.5", 500)])
def test_a_holdout_is_a_share(share: object, per_mille: int) -> None:
    assert parse({"holdout": share}, "f").holdout == per_mille


@pytest.mark.parametrize("share", ["0.6", -0.1, "much", True, "0.0005", "nan"])
def test_what_is_no_share_is_refused(share: object) -> None:
    assert "holdout" in refusal(holdout=share)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"agents": {"desk": {"history_token": 1}}}, 'did you mean "history_tokens"?'),
        ({"agents": {"desk": {"tool_results": {"max_row": 1}}}}, 'did you mean "max_rows"?'),
        ({"tenants": {"acme": {"tool_results": {"mode": "lossy"}}}}, "tenants.acme.tool_results.mode"),
        ({"agents": {"d": {"history_tokens": 9, "history_limit": 8}}}, "history_limit must not be less"),
        ({"agents": {"d": {"output": {"thinking_tokens": 10}}}}, "agents.d.output.thinking_tokens"),
        ({"agents": {"d": {"history_tokens": 9, "history": {"recent_tokens": 9}}}}, "recent_tokens"),
        ({"agents": {"d": {"tool_results": {"tools": {"x": {"max_row": 1}}}}}}, 'did you mean "max_rows"?'),
        ({"defaults": {"output": {"tasks": {"t": {"efort": "low"}}}}}, 'did you mean "effort"?'),
        ({"tool_results": {"mode": "off"}}, "write it under [defaults], [tenants.NAME] or [agents.NAME]"),
        ({"agents": {"desk": 5}}, "agents.desk: Input should be a table (found 5)"),
        (
            {"defaults": {"response_cache": {"tasks": "faq"}}},
            "defaults.response_cache.tasks: Input should be an array (found 'faq')",
        ),
        ({"tenants": {"": {}}}, "tenants.: a name has 1 to 256 printable characters"),
        ({"agents": {"acme/": {}}}, "agents.acme/: a name has 1 to 256 printable characters"),
        ({"agents": {" desk": {}}}, "no blanks around them"),
    ],
)
def test_what_is_wrong_is_named(tables: dict[str, Any], said: str) -> None:
    assert said in refusal(**tables)


def test_keys_of_two_tables_that_contradict_each_other_are_named_with_both() -> None:
    said = refusal(
        defaults={"history_tokens": 9000},
        tenants={"acme": {"max_output_tokens": 100}},
        agents={"desk": {"history_limit": 8000}},
    )
    assert said == (
        'bursar.toml: defaults and agents."desk": history_limit must not be less than history_tokens, '
        "which begins before it"
    )


def test_a_tenant_of_any_name_is_not_taken_for_no_tenant() -> None:
    policies = book(agents={"None/desk": {"max_output_tokens": 5}, "desk": {}})
    assert policies.for_agent("None", "desk").output.limits.max_tokens == 5
    assert policies.for_agent("acme", "desk").output.limits.max_tokens is None


def test_a_tools_empty_table_asks_for_no_loss() -> None:
    lossless = book(agents={"desk": {"tool_results": {"tools": {"search": {}}}}}).for_agent("", "desk")
    assert lossless.tool_results.limits_for("search") is None
    limits = {"mode": "truncate", "max_tokens": 9, "tools": {"search": {}}}
    lossy = book(agents={"desk": {"tool_results": limits}}).for_agent("", "desk")
    assert lossy.tool_results.limits_for("search") == Limits(9)


def test_limits_of_a_single_tool_ask_for_the_loss() -> None:
    policy = book(defaults={"tool_results": {"tools": {"search": {"max_rows": 3}}}}).for_agent("", "")
    assert policy.tool_results.limits_for("search") == Limits(rows_max=3)
    assert policy.tool_results.limits_for("other") is None


def test_the_defaults_go_before_the_switch_at_the_top() -> None:
    tables = {"prefix_cache": {"enabled": False}, "defaults": {"prefix_cache": {"enabled": True}}}
    assert book(**tables).for_agent("", "").prefix_cache
