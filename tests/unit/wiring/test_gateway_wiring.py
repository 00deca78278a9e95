import asyncio
from pathlib import Path
from typing import Any

import pytest

from asgi_client import get
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.errors import BadSetting
from bursar.gateway.app import Gateway
from bursar.policy.keys.ring import key_item
from bursar.settings import parse
from bursar.wiring.gateway import build_gateway, is_loopback
from key_cases import made


def built(tmp_path: Path, **table: Any) -> Gateway:
    return build_gateway(parse({"storage": {"dir": str(tmp_path)}, **table}, "bursar.toml"))


def lived(gateway: Gateway) -> None:
    """Start and stop a gateway, so that whatever it opened is closed."""

    async def live() -> None:
        waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(event: Any) -> None:
            sent.append(event["type"])
            if event["type"] == "lifespan.startup.complete":
                assert (await get(gateway, "/health/ready")).status == 200

        await gateway({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert (await get(gateway, "/health/ready")).status == 503

    asyncio.run(live())


def test_the_defaults_make_a_gateway(tmp_path: Path) -> None:
    gateway = built(tmp_path)
    assert gateway._options.provider_keys == {}
    assert gateway._options.forward_attribution == frozenset()
    lived(gateway)
    assert (tmp_path / "ledger.db").is_file()


def test_an_operators_key_is_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-own")
    gateway = built(tmp_path, providers={"anthropic": {"api_key_env": "MY_KEY"}})
    assert gateway._options.provider_keys == {"anthropic": "sk-own"}
    lived(gateway)


def test_an_operators_key_is_not_offered_to_the_whole_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-own")
    table = {"providers": {"anthropic": {"api_key_env": "MY_KEY"}}, "server": {"host": "0.0.0.0"}}
    with pytest.raises(BadSetting, match=r"server\.host: .*bind to 127\.0\.0\.1"):
        built(tmp_path, **table)


@pytest.mark.parametrize("server", [{}, {"require_key": False}, {"host": "::"}])
def test_without_keys_only_this_machine_is_served(tmp_path: Path, server: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match=r"server\.host: anybody .*bursar key create"):
        built(tmp_path, server={"host": "0.0.0.0", **server})
    assert not (tmp_path / "ledger.db").exists()


@pytest.mark.parametrize("server", [{"open": True}, {"require_key": True}])
def test_the_network_is_served_where_that_is_said(tmp_path: Path, server: dict[str, Any]) -> None:
    lived(built(tmp_path, server={"host": "0.0.0.0", **server}))


def test_with_a_key_the_network_is_served_unless_none_is_needed(tmp_path: Path) -> None:
    SqliteAdmin.open(tmp_path).put(key_item(made("s").revoked(1.0), "ann", 1.0))
    lived(built(tmp_path, server={"host": "0.0.0.0"}))
    with pytest.raises(BadSetting, match="anybody who reaches it"):
        built(tmp_path, server={"host": "0.0.0.0", "require_key": False})


@pytest.mark.parametrize(
    ("server", "host", "status"),
    [
        ({}, "evil.example", 421),
        ({}, "localhost:4100", 404),
        ({"hosts": ["bursar.internal"]}, "bursar.internal", 404),
        ({"hosts": ["bursar.internal"]}, "[::1]:4100", 404),
        ({"host": "0.0.0.0", "open": True}, "any.example", 404),
        ({"host": "0.0.0.0", "open": True, "hosts": ["a.example"]}, "b.example", 421),
    ],
)
def test_which_names_are_answered_to(tmp_path: Path, server: dict[str, Any], host: str, status: int) -> None:
    gateway = built(tmp_path, server=server)
    assert asyncio.run(get(gateway, "/v1/nothing", host=host)).status == status
    lived(gateway)


def test_a_name_with_a_port_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"server\.hosts\.0: .*without a port"):
        parse({"server": {"hosts": ["a.example:80"]}}, "bursar.toml")


@pytest.mark.parametrize(
    ("provider", "forwarded"),
    [
        ({}, False),
        ({"base_url": "http://127.0.0.1:4200"}, True),
        ({"base_url": "http://localhost:4200"}, True),
        ({"base_url": "http://[::1]:4200"}, True),
        ({"base_url": "http://127.0.0.1.example.com"}, False),
        ({"base_url": "http://127.0.0.1:4200", "forward_attribution": False}, False),
        ({"forward_attribution": True}, True),
    ],
)
def test_attribution_goes_to_loopback_or_where_it_is_asked_for(
    tmp_path: Path, provider: dict[str, Any], forwarded: bool
) -> None:
    gateway = built(tmp_path, providers={"anthropic": provider})
    assert ("anthropic" in gateway._options.forward_attribution) == forwarded
    lived(gateway)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_name_or_address(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
