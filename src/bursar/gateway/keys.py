"""Keys over HTTP, for operators and for keys of role admin, within their own rights.

GET  /v1/bursar/keys
POST /v1/bursar/keys             {"tenant": "acme", "agent": "desk", "expires": "90d"}
POST /v1/bursar/keys/ID/rotate   {"overlap": "24h"}
POST /v1/bursar/keys/ID/revoke
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from bursar.effects import Reply
from bursar.errors import BadRequest, CallerMistake, NotPermitted, StoreFailed
from bursar.gateway.connection import BodyTooLarge, Connection
from bursar.policy.keys.ring import Grant

PATH = "/v1/bursar/keys"

_BODY_BYTES_MAX = 16_384
_OVERLAP = "24h"
_JSON = {"content-type": "application/json", "cache-control": "no-store"}


class Desk(Protocol):
    """What somebody may do with keys. Its methods block, and raise `CallerMistake` and `StoreFailed`."""

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return all keys within the rights of whoever asks, for JSON."""
        ...

    def create(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a key; return it for JSON."""
        ...

    def rotate(self, key_id: str, overlap: str) -> Mapping[str, Any]:
        """Put a new secret in the place of a key's former one; return it for JSON."""
        ...

    def revoke(self, key_id: str) -> Mapping[str, Any]:
        """End a key; return what changed, for JSON."""
        ...


class KeyPages:
    """Answers what operators ask about keys.

    Args:
        desk_of: Gives whoever was let in their desk.
        take_up: Puts what was changed in force.
    """

    def __init__(self, desk_of: Callable[[Grant], Desk], take_up: Callable[[], Awaitable[None]]) -> None:
        self._desk_of = desk_of
        self._take_up = take_up

    async def answer(
        self, method: str, path: str, headers: Mapping[str, str], connection: Connection, grant: Grant
    ) -> Reply | None:
        """Answer a path of keys; None for all others.

        Args:
            method: HTTP method.
            path: The whole path.
            headers: The client's, names in lower case.
            connection: The client's.
            grant: What whoever asks may, which is to operate.

        Raises:
            BodyLate: The body did not arrive in time.
            ClientLeft: The client closed the connection before its request was complete.
        """
        key_id, slash, verb = path.removeprefix(PATH).removeprefix("/").partition("/")
        if path != PATH and not (key_id and slash and verb in {"rotate", "revoke"}):
            return None
        if method != "POST" and (method != "GET" or path != PATH):
            allowed = "GET, POST" if path == PATH else "POST"
            return _refuse(405, "method_not_allowed", f"use {allowed}", allow=allowed)
        try:
            desk = self._desk_of(grant)
            if method == "GET":
                return _show({"rows": await asyncio.to_thread(desk.rows)})
            said = _read_object(await connection.body(headers, _BODY_BYTES_MAX))
            done = await asyncio.to_thread(_do, desk, key_id, verb, said)
            await self._take_up()
            return _show(done)
        except BodyTooLarge:
            return _refuse(413, "request_too_large", f"the body is longer than {_BODY_BYTES_MAX} bytes")
        except NotPermitted as mistake:
            return _refuse(403, "permission_error", str(mistake))
        except CallerMistake as mistake:
            return _refuse(400, "invalid_request_error", str(mistake))
        except StoreFailed as failure:
            return _refuse(503, "api_error", str(failure))


def _do(desk: Desk, key_id: str, verb: str, said: dict[str, Any]) -> Mapping[str, Any]:
    if not verb:
        return desk.create(said)
    overlap = said.pop("overlap", _OVERLAP) if verb == "rotate" else _OVERLAP
    if said or not isinstance(overlap, str):
        raise BadRequest('takes {"overlap": "24h"} at most' if verb == "rotate" else "takes no body")
    return desk.rotate(key_id, overlap) if verb == "rotate" else desk.revoke(key_id)


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        table: Any = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON ({error})") from None
    if not isinstance(table, dict):
        raise BadRequest('the body is no JSON object, such as {"tenant": "acme"}')
    return table  # pyright: ignore[reportUnknownVariableType] - Its members are checked next.


def _show(found: Any) -> Reply:
    return Reply(200, _JSON, orjson.dumps(found))


def _refuse(status: int, kind: str, message: str, **headers: str) -> Reply:
    body = orjson.dumps({"error": {"type": kind, "message": message}})
    return Reply(status, {**_JSON, **headers}, body)
