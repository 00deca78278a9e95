"""What is on for whom, in words, and which key says so."""

from typing import Any

import pytest

from bursar.domain.ledger import Technique
from bursar.settings import parse
from bursar.settings.agents import AgentSection
from bursar.settings.explaining import Explanation, TechniqueInForce, explain
from bursar.settings.sections import Section


def explained(tenant: str | None = None, agent: str | None = None, **tables: Any) -> Explanation:
    return explain(parse(tables, "bursar.toml"), tenant, agent)


def technique(explanation: Explanation, name: Technique) -> TechniqueInForce:
    return next(found for found in explanation.techniques if found.technique is name)


def test_by_default_everything_that_loses_nothing_is_on() -> None:
    states = {found.technique.value: found.state for found in explained().techniques}
    assert states == {
        "response_cache": "on",
        "routing": "off",
        "output": "off",
        "tool_results": "on",
        "history": "off",
        "prefix_cache": "on",
    }
    assert not any(found.said for found in explained().techniques)


def test_each_value_names_the_key_that_won() -> None:
    explanation = explained(
        "acme",
        "desk",
        defaults={"history_tokens": 40_000, "tool_results": {"max_rows": 50}},
        tenants={"acme": {"tool_results": {"max_rows": 20, "mode": "truncate"}}},
        agents={"desk": {"tool_results": {"tools": {"look.up": {"max_rows": 3}}}}, "acme/desk": {}},
    )
    results = technique(explanation, Technique.TOOL_RESULTS)
    assert {value.place: value.value for value in results.said} == {
        'tenants."acme".tool_results.mode': "truncate",
        'tenants."acme".tool_results.max_rows': 20,
        'agents."desk".tool_results.tools."look.up".max_rows': 3,
    }
    (history,) = technique(explanation, Technique.HISTORY).said
    assert (history.place, history.value) == ("defaults.history_tokens", 40_000)


def test_a_default_has_a_value_and_no_place() -> None:
    values = {
        value.key: value.value
        for value in technique(explained(), Technique.TOOL_RESULTS).values
        if not value.place
    }
    assert values["tool_results.mode"] == "lossless"
    assert values["tool_results.max_tokens"] == 1_000


def test_the_switch_at_the_top_is_named_as_it_stands() -> None:
    prefix = technique(explained(prefix_cache={"enabled": False}), Technique.PREFIX_CACHE)
    assert prefix.state == "off"
    assert [value.place for value in prefix.said] == ["prefix_cache.enabled"]


@pytest.mark.parametrize(
    ("mode", "states"),
    [
        ("optimise", {"on", "off"}),
        ("observe", {"watched", "off"}),
        ("passthrough", {"off"}),
    ],
)
def test_the_mode_decides_whether_techniques_act(mode: str, states: set[str]) -> None:
    found = explained(mode=mode).techniques
    assert {technique.state for technique in found} == states
    cache = technique(explained(mode=mode), Technique.RESPONSE_CACHE)
    assert (cache.state == "off") == (mode != "optimise")
    assert (cache.meaning == f'nothing in mode "{mode}"') == (mode != "optimise")


def test_limits_of_a_task_alone_switch_output_on() -> None:
    output = technique(
        explained(defaults={"output": {"tasks": {"triage": {"max_output_tokens": 50}}}}), Technique.OUTPUT
    )
    assert output.state == "on"
    assert output.meaning == "as clients ask; task triage: at most 50 tokens"


@pytest.mark.parametrize(
    ("defaults", "name", "said"),
    [
        ({"tool_results": {"mode": "off"}}, "tool_results", "as they came"),
        ({"tool_results": {"mode": "truncate", "max_rows": 9}}, "tool_results", "1,000 tokens, 9 rows"),
        ({"history_tokens": 30_000}, "history", "the last 10,000 tokens stay verbatim"),
        ({"history_tokens": 30_000}, "history", "nothing is summarised"),
        ({"history_limit": 90_000}, "history", "never above 90,000 prompt tokens"),
        (
            {"history_tokens": 9, "history": {"summary_model": "m", "pinned": ["KEEP"]}},
            "history",
            "summaries by m, 1,000 tokens at most; messages with KEEP stay",
        ),
        (
            {"output": {"effort": "low", "thinking_tokens": 2048}},
            "output",
            "effort low at most, thinking 2,048",
        ),
        ({"output": {"stop": ["END"]}}, "output", "stops at END"),
        ({"response_cache": {"ttl_s": 7200}}, "response_cache", "for 2 h; with tools only those that ask"),
        ({"response_cache": {"ttl_s": 90}}, "response_cache", "for 90 s"),
        (
            {"response_cache": {"temperature_0": False, "tasks": ["faq"]}},
            "response_cache",
            "header or of task faq",
        ),
        ({"response_cache": {"safe_tools": ["b", "a"]}}, "response_cache", "only where all are of a, b"),
        ({"response_cache": {"enabled": False}}, "response_cache", "every call is made"),
    ],
)
def test_what_a_technique_does_is_said_in_words(defaults: dict[str, Any], name: str, said: str) -> None:
    assert said in technique(explained(defaults=defaults), Technique(name)).meaning


def test_references_are_not_promised_where_the_history_is_rewritten() -> None:
    kept = technique(explained(), Technique.TOOL_RESULTS)
    rewritten = technique(explained(defaults={"history_tokens": 9}), Technique.TOOL_RESULTS)
    assert "points at the first" in kept.meaning
    assert "points at the first" not in rewritten.meaning


def test_every_key_of_a_table_is_explained_with_its_default() -> None:
    explanation = explained()
    told = {value.key for found in explanation.techniques for value in found.values}
    # Loops are watched for in every mode; that is no technique.
    assert told == {key for key in _keys(AgentSection) if not key.startswith("loops.")}


def _keys(section: type[Section], path: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in section.model_fields.items():
        if isinstance(field.default, Section):
            keys += _keys(type(field.default), f"{path}{name}.")
        elif name not in {"tools", "tasks", "thresholds"} or path == "response_cache.":
            keys.append(path + name)
    return keys


def test_texts_are_split_unless_the_file_says_otherwise() -> None:
    said = technique(explained(), Technique.PREFIX_CACHE).meaning
    off = explained("acme", "desk", agents={"acme/desk": {"stable_prefix": {"split": False}}})
    assert "two blocks" in said
    assert "two blocks" not in technique(off, Technique.PREFIX_CACHE).meaning
    (value,) = technique(off, Technique.PREFIX_CACHE).said
    assert (value.place, value.value) == ('agents."acme/desk".stable_prefix.split', False)
    assert not off.policy.stable_prefix.split
