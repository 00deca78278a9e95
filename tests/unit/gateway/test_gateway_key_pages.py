"""Keys over HTTP."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from asgi_client import Answered, Asked, ask
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.key_secrets import new_key
from bursar.domain.admin import ItemKind
from bursar.domain.keys import Role, VirtualKey
from bursar.gateway.app import Gateway, GatewayOptions, Lifetime
from bursar.gateway.auth import Guard
from bursar.gateway.keys import KeyPages
from bursar.policy.keys.ring import KeyRing, key_item, read_keys
from bursar.settings.stored import Act
from bursar.wiring.keys import KeyDesk
from gateway_scene import GatewayScene
from key_cases import made
from scripted_world import NOW_S

TOKEN = "open sesame"


class Office:
    """A gateway with key pages over a store of its own."""

    def __init__(self, directory: Path) -> None:
        self.admin = SqliteAdmin.open(directory)
        self.guard = Guard(operator_token=TOKEN)
        scene = GatewayScene()
        pages = KeyPages(
            lambda grant: KeyDesk(self.admin, Act(grant.key_id or "api", NOW_S), grant.rights), self.take_up
        )
        options = GatewayOptions(1 << 20, {}, frozenset(), keys=pages, guard=self.guard)
        self.app = Gateway(
            scene.engine, scene.world, options, scene.health, lifetime=Lifetime(AsyncExitStack())
        )

    async def take_up(self) -> None:
        self.guard.ring = KeyRing(read_keys(self.admin.read()))

    async def put(self, key: VirtualKey) -> None:
        self.admin.put(key_item(key, "ann", NOW_S))
        await self.take_up()

    async def ask(self, target: str, body: Any = None, *, key: str = TOKEN, method: str = "POST") -> Answered:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answered = await ask(
            self.app, Asked(method, f"/v1/bursar/keys{target}", {"x-bursar-key": key}, [content])
        )
        assert answered is not None
        return answered


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    return Office(tmp_path)


async def test_the_operator_makes_rotates_lists_and_revokes_keys(office: Office) -> None:
    body = {"tenant": "acme", "models": ["a*", "b"], "limit_usd": "5", "window": "day", "expires": "90d"}
    issued = await office.ask("", body)
    assert issued.status == 200, issued.body
    key = issued.json
    assert issued.headers["cache-control"] == "no-store"
    assert office.guard.ring.find(key["key"], NOW_S) is not None
    rotated = (await office.ask(f"/{key['id']}/rotate", {"overlap": "1h"})).json
    assert (rotated["id"], rotated["models"]) == (key["id"], ["a*", "b"])
    listed = await office.ask("", method="GET")
    (row,) = listed.json["rows"]
    assert (row["state"], row["limits"][0]["limit_usd"]) == ("active", "5.000000000")
    assert key["key"] not in listed.body.decode()
    assert rotated["key"] not in listed.body.decode()
    assert (await office.ask(f"/{key['id']}/revoke")).json["changed"] is True
    assert [change.by for change in office.admin.changes()] == ["api"] * 4


async def test_an_admins_keys_are_its_tenants_and_it_is_named_in_the_audit_log(office: Office) -> None:
    admin = new_key()
    await office.put(made(admin, "k-admin", Role.ADMIN, models=("claude-*",)))
    issued = await office.ask("", {"models": "claude-haiku-*", "agent": "desk"}, key=admin)
    assert (issued.json["tenant"], issued.json["created_by"]) == ("acme", "k-admin")
    change, *_ = office.admin.changes()
    assert (change.kind, change.by) == (ItemKind.KEY, "k-admin")


@pytest.mark.parametrize(
    "body",
    [
        {"tenant": "rival", "models": "claude-a"},
        {"tenant": "*", "models": "claude-a"},
        {"models": "gpt-*"},
        {"role": "admin"},
        {"models": ["claude-*", "gpt-*"]},
    ],
)
async def test_no_key_makes_one_that_may_do_more(office: Office, body: dict[str, Any]) -> None:
    admin = new_key()
    await office.put(made(admin, "k-admin", Role.ADMIN, models=("claude-*",)))
    answered = await office.ask("", body, key=admin)
    assert (answered.status, answered.json["error"]["type"]) == (403, "permission_error")
    assert office.admin.version() == 1


async def test_others_keys_are_neither_seen_nor_ended(office: Office) -> None:
    admin, other = new_key(), new_key()
    await office.put(made(admin, "k-admin", Role.ADMIN))
    await office.put(made(other, "k-rival", tenant="rival"))
    assert [row["id"] for row in (await office.ask("", key=admin, method="GET")).json["rows"]] == ["k-admin"]
    for verb in ("rotate", "revoke"):
        answered = await office.ask(f"/k-rival/{verb}", key=admin)
        unknown = await office.ask(f"/k-nobody/{verb}", key=admin)
        assert answered.status == unknown.status == 400
        assert answered.json["error"]["message"] == unknown.json["error"]["message"].replace(
            "nobody", "rival"
        )
    assert office.admin.version() == 2


@pytest.mark.parametrize("role", [Role.AGENT, Role.READER])
async def test_who_is_no_admin_has_no_say(office: Office, role: Role) -> None:
    key = new_key()
    await office.put(made(key, role=role))
    for target, method in (("", "GET"), ("", "POST"), ("/k-1/revoke", "POST"), ("/k-1/rotate", "POST")):
        answered = await office.ask(target, {"tenant": "acme"}, key=key, method=method)
        assert answered.status == 403
    assert office.admin.version() == 1


@pytest.mark.parametrize(
    ("target", "body", "said"),
    [
        ("", b"{", "not JSON"),
        ("", b"[]", "no JSON object"),
        ("", {}, "tenant: is missing"),
        ("", {"tenant": 5}, "is text, or a list of it"),
        ("", {"tenant": "acme", "models": ["a,b"]}, "holds a comma"),
        ("", {"tenant": "acme", "role": "king"}, "there is no such role"),
        ("", {"tenant": "acme", "limit_usd": 0.5, "window": "day"}, "binary fraction"),
        ("", {"tenant": "acme", "limit_usd": "5"}, "says no window"),
        ("", {"tenant": "acme", "rights": "all"}, "rights: is unknown"),
        ("", {"tenant": "acme", "expires": "2020-01-01"}, "has passed"),
        ("/k-1/rotate", {"overlap": 5}, "takes"),
        ("/k-1/rotate", {"overlap": "long"}, "write a span"),
        ("/k-1/revoke", {"now": True}, "takes no body"),
        ("/k-2/revoke", None, "no key has the id"),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_changes(
    office: Office, target: str, body: Any, said: str
) -> None:
    await office.put(made(new_key()))
    answered = await office.ask(target, body)
    assert answered.status == 400
    assert said in answered.json["error"]["message"]
    assert office.admin.version() == 1


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("DELETE", "", 405), ("GET", "/k-1/revoke", 405), ("POST", "/k-1", 404), ("POST", "/k-1/open", 404)],
)
async def test_nothing_else_is_served(office: Office, method: str, target: str, status: int) -> None:
    assert (await office.ask(target, method=method)).status == status
