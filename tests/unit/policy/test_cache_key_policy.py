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


def test_an_agents_calls_share_a_key_whatever_their_prompts() -> None:
    assert key(agent="desk") == key(agent="desk", layout=laid_out(system=2001, messages=[[10], [20]]))
    assert key(agent="desk") != key(agent="triage")
    assert key(rules=OPENAI_MARKS) is not None


@pytest.mark.parametrize(
    "changes", [{"rules": ANTHROPIC}, {"has_cache_key": True}], ids=["no such thing", "the client's own"]
)
def test_no_key_is_set_where_none_helps(changes: dict[str, Any]) -> None:
    assert key(**changes) is None


def test_a_key_says_nothing_of_the_text() -> None:
    found = key()
    assert found is not None
    assert found.startswith("bursar-")
    assert len(found) <= 64
