from typing import Any

import msgspec
import pytest

from bursar.policy.cache_key import plan_cache_key
from cache_cases import ANTHROPIC, OPENAI_AUTOMATIC, OPENAI_MARKS, case, laid_out


def key(**changes: Any) -> str | None:
    known: dict[str, Any] = {
        "layout": laid_out(system=2000, messages=[[10]]),
        "rules": OPENAI_AUTOMATIC,
        **changes,
    }
    decision = plan_cache_key(case(**known))
    return None if decision is None else msgspec.json.decode(decision.fields["prompt_cache_key"], type=str)


def test_calls_with_one_prefix_share_a_key_and_others_do_not() -> None:
    assert key() == key(layout=laid_out(system=2000, messages=[[10], [20], [30]]))
    assert key() != key(layout=laid_out(system=2001, messages=[[10]]))
    assert key(rules=OPENAI_MARKS) is not None


@pytest.mark.parametrize(
    "changes",
    [{"rules": ANTHROPIC}, {"has_cache_key": True}, {"layout": laid_out(messages=[[5000]])}],
    ids=["no such thing", "the client's own", "nothing shared"],
)
def test_no_key_is_set_where_none_helps(changes: dict[str, Any]) -> None:
    assert key(**changes) is None


@pytest.mark.parametrize(("calls_a_minute", "groups"), [(0, 1), (15, 1), (16, 2), (31, 4), (100, 8)])
def test_a_busy_prefix_is_spread_over_as_many_keys_as_its_rate_needs(
    calls_a_minute: float, groups: int
) -> None:
    found = {key(calls_a_minute=calls_a_minute, conversation=f"c{n}") for n in range(300)}
    assert len(found) == groups
    assert key(calls_a_minute=calls_a_minute) == key(calls_a_minute=calls_a_minute)


def test_the_number_of_keys_is_bounded() -> None:
    assert len({key(calls_a_minute=1e9, conversation=f"c{n}") for n in range(3000)}) <= 1024


def test_a_key_says_nothing_of_the_text() -> None:
    found = key()
    assert found is not None
    assert found.startswith("bursar-")
    assert len(found) <= 64
