"""`stable_prefix` in bursar.toml: off unless allowed, by agent, explained, idle without the cache."""

from typing import Any

from bursar.domain.ledger import Technique
from bursar.policy.agent import StablePrefixPolicy
from bursar.settings import parse
from bursar.settings.explaining import explain
from bursar.settings.remarks import Knowledge, remark

KNOWN = Knowledge(lambda _: True, 64_000)
BOTH = {"order": True, "volatile": True}


def meaning(text: dict[str, Any], agent: str | None = None) -> str:
    techniques = explain(parse(text, "bursar.toml"), None, agent).techniques
    return next(each.meaning for each in techniques if each.technique is Technique.PREFIX_CACHE)


def test_nothing_is_put_in_order_or_moved_unasked() -> None:
    settings = parse({}, "bursar.toml")
    assert explain(settings, None, None).policy.stable_prefix == StablePrefixPolicy(
        order=False, volatile=False
    )
    assert "order" not in meaning({})


def test_it_is_allowed_for_one_agent_key_by_key() -> None:
    text = {
        "defaults": {"stable_prefix": {"order": True}},
        "agents": {"support": {"stable_prefix": {"volatile": True}}},
    }
    settings = parse(text, "bursar.toml")
    assert explain(settings, None, "support").policy.stable_prefix == StablePrefixPolicy(**BOTH)
    assert "tools and their keys in one order" in meaning(text)
    assert "move behind the prompt" not in meaning(text)
    assert "move behind the prompt" in meaning(text, "support")


def test_without_the_providers_cache_it_does_nothing() -> None:
    text = {"defaults": {"prefix_cache": {"enabled": False}, "stable_prefix": BOTH}}
    places = {each.place for each in remark(parse(text, "bursar.toml"), KNOWN)}
    assert places == {"defaults.stable_prefix.order", "defaults.stable_prefix.volatile"}
    assert remark(parse({"defaults": {"stable_prefix": BOTH}}, "bursar.toml"), KNOWN) == []
