"""docs/configuration.md names every key, and its example is right."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar.settings import Provider, Server, Settings, Storage, parse
from bursar.settings.agents import AgentSection
from bursar.settings.explaining import explain
from bursar.settings.remarks import Knowledge, remark
from bursar.settings.sections import Section

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")


def keys(section: type[Section], path: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        if isinstance(field.default, Section):
            yield from keys(type(field.default), f"{path}{name}.")
        elif name in {"tools", "tasks"} and path != "response_cache.":
            yield f"{path}{name}.NAME"
        else:
            yield path + name


@pytest.mark.parametrize("key", [*keys(AgentSection), *keys(Server), *keys(Storage), *keys(Provider)])
def test_every_key_of_a_table_is_on_the_page(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_every_table_is_on_the_page() -> None:
    for name in Settings.model_fields:
        assert re.search(rf"[\[`]{name}\b", PAGE), name


def test_the_example_is_right_and_leaves_no_doubt() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    settings = parse(tomllib.loads(example[1]), "bursar.toml")
    assert remark(settings, Knowledge(lambda _: True, 64_000)) == []
    policy = explain(settings, "acme", "reports").policy
    assert policy.tool_results.limits_for("list_orders") is not None
    assert policy.output.limits_for("triage").max_tokens == 50
    assert not policy.response_cache.enabled
