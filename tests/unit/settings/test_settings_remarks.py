"""What bursar.toml may say, and yet is probably not what was meant."""

from typing import Any

import pytest

from bursar.adapters.content import memory, sqlite
from bursar.settings import parse, remarks
from bursar.settings.remarks import Knowledge, Remark, remark


def remarked(**tables: Any) -> list[Remark]:
    return remark(parse(tables, "bursar.toml"), Knowledge(lambda model: model == "known", 64_000))


SUMMARISED = {"history_tokens": 9, "history": {"summary_model": "known"}}


def test_without_a_file_there_is_nothing_to_remark() -> None:
    assert remarked() == []


@pytest.mark.parametrize(
    ("tables", "place", "problem"),
    [
        ({"mode": "observe", "holdout": 0.1}, "holdout", 'in mode "observe"'),
        (
            {
                "holdout": 0.1,
                "defaults": {
                    "tool_results": {"mode": "off"},
                    "response_cache": {"enabled": False},
                    "prefix_cache": {"enabled": False},
                },
            },
            "holdout",
            "no technique is on",
        ),
        ({"mode": "passthrough", "agents": {"d": {"max_output_tokens": 9}}}, "mode", "no technique acts"),
        (
            {"agents": {"d": {"history": {"pinned": ["x"]}}}},
            'agents."d".history.pinned',
            "without history_tokens or history_limit",
        ),
        (
            {"defaults": {"tool_results": {"max_tokens": 500}}},
            "defaults.tool_results.max_tokens",
            'without tool_results.mode = "truncate"',
        ),
        (
            {"defaults": {"tool_results": {"mode": "off", "tools": {"t": {"max_rows": 1}}}}},
            "defaults.tool_results.tools.t.max_rows",
            'while tool_results.mode is "off"',
        ),
        (
            {"defaults": {**SUMMARISED, "tool_results": {"references": True}}},
            "defaults.tool_results.references",
            "where the history is rewritten",
        ),
        (
            {"tenants": {"acme": {"response_cache": {"enabled": False, "ttl_s": 5}}}},
            'tenants."acme".response_cache.ttl_s',
            "without response_cache.enabled",
        ),
        (
            {"agents": {"d": {"prefix_cache": {"enabled": False}, "stable_prefix": {"split": True}}}},
            'agents."d".stable_prefix.split',
            "without prefix_cache.enabled",
        ),
        (
            {"agents": {"d": {"history_tokens": 9, "history": {"summary_model": "new"}}}},
            'agents."d".history.summary_model',
            'no price is known for "new"',
        ),
        (
            {"agents": {"d": {"response_cache": {"tasks": ["faq"]}}}},
            'agents."d".response_cache.tasks',
            "that have tools take no part",
        ),
        (
            {"agents": {"d": {"max_output_tokens": 2_000, "output": {"thinking_tokens": 1_024}}}},
            'agents."d".max_output_tokens',
            "may have 2,048",
        ),
        (
            {"defaults": {"max_output_tokens": 64_000}},
            "defaults.max_output_tokens",
            "no known model writes more than 64,000 tokens",
        ),
        (
            {"defaults": {"output": {"thinking_tokens": 64_000}}},
            "defaults.output.thinking_tokens",
            "no known model writes more",
        ),
        (
            {"tenants": {"acme": {"output": {"effort": "max"}}}},
            'tenants."acme".output.effort',
            "no effort is more",
        ),
        (
            {"defaults": {"output": {"tasks": {"sum up": {"effort": "max"}}}}},
            'defaults.output.tasks."sum up".effort',
            "no effort is more",
        ),
        (
            {
                "defaults": {"output": {"thinking_tokens": 2_048}},
                "agents": {"d": {"output": {"tasks": {"triage": {"max_output_tokens": 500}}}}},
            },
            'agents."d".output.tasks.triage.max_output_tokens',
            "may have 3,072",
        ),
        ({"defaults": {"history_tokens": 9}}, "defaults.history_tokens", "nothing is summarised"),
        ({"agents": {"d": {"history_limit": 9}}}, 'agents."d".history_limit', "nothing is summarised"),
        (
            {
                "storage": {"content_bytes_max": 8 << 20},
                "agents": {"d": {"tool_results": {"mode": "truncate"}}},
            },
            "storage.content_bytes_max",
            "tool results of more than 1,048,576 bytes",
        ),
        (
            {
                "storage": {"content_bytes_max": 8 << 20},
                "defaults": {"response_cache": {"answer_bytes_max": 2 << 20}},
            },
            "defaults.response_cache.answer_bytes_max",
            "answers of more than 1,048,576 bytes",
        ),
        ({"tenants": {"a/b": {}}}, 'tenants."a/b"', "a slash in its name"),
    ],
)
def test_what_is_doubtful_is_named_by_its_key(tables: dict[str, Any], place: str, problem: str) -> None:
    (found,) = remarked(**tables)
    assert found.place == place
    assert problem in found.problem
    assert found.mend


@pytest.mark.parametrize(
    "tables",
    [
        {"holdout": 0.1},
        {"mode": "passthrough"},
        {"defaults": SUMMARISED},
        {"defaults": {"max_output_tokens": 63_999, "output": {"effort": "xhigh"}}},
        {"defaults": {"tool_results": {"tools": {"t": {"max_rows": 1}}}}},
        {"agents": {"d": {"response_cache": {"tasks": ["faq"], "safe_tools": ["look_up"]}}}},
        {"agents": {"d": {"tool_results": {"mode": "truncate"}}}},
    ],
)
def test_what_is_meant_is_not_remarked(tables: dict[str, Any]) -> None:
    assert remarked(**tables) == []


def test_the_length_of_summaries_does_nothing_where_none_are_written() -> None:
    found = remarked(defaults={"history_tokens": 9, "history": {"summary_tokens_max": 5}})
    assert [(remark.place, "without history.summary_model" in remark.problem) for remark in found] == [
        ("defaults.history.summary_tokens_max", True),
        ("defaults.history_tokens", False),
    ]


def test_a_default_that_acts_for_a_single_agent_is_not_idle() -> None:
    limits = {"tool_results": {"max_tokens": 500}}
    assert remarked(defaults=limits, agents={"d": {"tool_results": {"mode": "truncate"}}}) == []


def test_each_doubt_is_told_once_however_many_it_concerns() -> None:
    tables = {"history_tokens": 9, "history": {"summary_model": "new"}}
    assert len(remarked(defaults=tables, agents={"a": {}, "b": {}}, tenants={"acme": {}})) == 1


def test_the_share_that_one_piece_may_take_is_the_stores() -> None:
    assert remarks._CONTENT_SHARE_MAX == sqlite._SHARE_MAX == memory._SHARE_MAX
