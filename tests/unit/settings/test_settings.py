"""Whatever is wrong with bursar.toml, one sentence names file, key and mend."""

import re
from pathlib import Path
from typing import Any

import pytest

from bursar import settings
from bursar.errors import BadSetting
from bursar.settings import Settings, base_url, load, parse


def refusal(table: dict[str, Any]) -> str:
    with pytest.raises(BadSetting) as refused:
        parse(table, "bursar.toml")
    message = str(refused.value)
    assert message.startswith("bursar.toml: ")
    assert "\n" not in message
    assert "pydantic" not in message
    return message.removeprefix("bursar.toml: ")


@pytest.mark.parametrize(
    ("table", "key", "mend"),
    [
        ({"mod": "observe"}, "mod", "mode"),
        ({"servers": {}}, "servers", "server"),
        ({"server": {"prot": 1}}, "server.prot", "port"),
        ({"storage": {"dirs": "x"}}, "storage.dirs", "dir"),
        ({"providers": {"antropic": {}}}, "providers.antropic", "anthropic"),
        ({"providers": {"openai": {"base-url": "x"}}}, "providers.openai.base-url", "base_url"),
        ({"prefix_cache": {"enable": True}}, "prefix_cache.enable", "enabled"),
    ],
)
def test_an_unknown_key_is_named_with_the_one_that_was_meant(
    table: dict[str, Any], key: str, mend: str
) -> None:
    message = refusal(table)
    assert message == f'{key}: unknown setting; did you mean "{mend}"?'


def test_where_nothing_is_alike_the_known_keys_are_listed() -> None:
    assert "known here: content_bytes_max, content_key_env, dir, on_store_failure" in refusal(
        {"storage": {"zzz": 1}}
    )


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"mode": "fast"}, "mode"),
        ({"mode": 5}, "mode"),
        ({"unpriced": "free"}, "unpriced"),
        ({"routing_tasks": "triage"}, "routing_tasks"),
        ({"server": 5}, "server"),
        ({"server": {"port": -1}}, "server.port"),
        ({"server": {"port": 65_536}}, "server.port"),
        ({"server": {"port": "http"}}, "server.port"),
        ({"server": {"body_limit_bytes": 1}}, "server.body_limit_bytes"),
        ({"server": {"shutdown_grace_s": -1}}, "server.shutdown_grace_s"),
        ({"storage": {"on_store_failure": "ignore"}}, "storage.on_store_failure"),
        ({"providers": {"anthropic": {"base_url": "api.anthropic.com"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://a:99999"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://a:b"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://[::1"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://a/?b=c"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://a/ b"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "http://a:b@c"}}}, "providers.anthropic.base_url"),
        ({"providers": {"anthropic": {"base_url": "ftp://a"}}}, "providers.anthropic.base_url"),
        ({"providers": {"openai": {"timeout_s": 0}}}, "providers.openai.timeout_s"),
        ({"providers": {"openai": {"timeout_s": float("nan")}}}, "providers.openai.timeout_s"),
        ({"providers": {"openai": {"deadline_s": float("inf")}}}, "providers.openai.deadline_s"),
        ({"providers": {"openai": {"retries_max": 11}}}, "providers.openai.retries_max"),
        ({"providers": {"openai": {"retries_max": 1.5}}}, "providers.openai.retries_max"),
        ({"prefix_cache": {"enabled": "perhaps"}}, "prefix_cache.enabled"),
    ],
)
def test_a_wrong_value_is_named_by_its_key_and_shown(table: dict[str, Any], key: str) -> None:
    message = refusal(table)
    assert message.startswith(f"{key}: ")
    assert "found " in message


def test_several_mistakes_are_named_at_once() -> None:
    message = refusal({"mode": "fast", "server": {"prot": 1}})
    assert "mode: " in message
    assert "server.prot: " in message


def test_a_long_wrong_value_is_shown_in_part() -> None:
    assert len(refusal({"mode": "a" * 100_000})) < 1000


def test_a_secret_is_not_shown() -> None:
    # Somebody wrote the key itself where its variable's name was expected, under a key that does not exist.
    assert "sk-secret" not in refusal({"providers": {"openai": {"api_key": "sk-secret"}}})


def test_defaults_need_no_file() -> None:
    assert load(None) == Settings()
    assert load(None).mode == "optimise"


def test_a_provider_section_keeps_its_public_address_unless_it_names_another() -> None:
    found = parse(
        {"providers": {"anthropic": {"api_key_env": "KEY"}, "openai": {"base_url": "http://a/v1"}}}, "f"
    )
    assert base_url("anthropic", found.providers.anthropic) == "https://api.anthropic.com"
    assert found.providers.anthropic.api_key_env == "KEY"
    assert base_url("openai", found.providers.openai) == "http://a/v1"


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "bursar.toml"
    file.write_text(
        'mode = "observe"\n[server]\nport = 5000\n[prices."my-model"]\ninput = "0.2"\noutput = "0.8"\n'
    )
    found = load(str(file))
    assert (found.mode, found.server.port) == ("observe", 5000)
    assert [listing.model for listing in found.prices.listings()] == ["my-model"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"mode = ", r"is not TOML: .*end of document"),
        (b"[server]\nport = 1\nport = 2\n", r"is not TOML: .*line 3"),
        (b'mode = "\xff"', r"is not UTF-8 \(byte 8\)"),
        (b"\xff\xfem\x00", r"is not UTF-8 \(byte 0\)"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, r"is not TOML: .*nested"),
        (b"\x00", r"is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "bursar.toml"
    file.write_bytes(content)
    with pytest.raises(BadSetting, match=said) as refused:
        load(str(file))
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=re.escape(f"{tmp_path}: cannot be read (Is a directory)")):
        load(str(tmp_path))
    with pytest.raises(BadSetting, match=r"cannot be read \(No such file or directory\)"):
        load(str(tmp_path / "none.toml"))


def test_every_provider_has_a_public_address() -> None:
    assert set(settings.PUBLIC_BASE_URLS) == set(settings.Providers.model_fields)
