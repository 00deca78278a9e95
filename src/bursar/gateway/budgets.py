"""Budgets over HTTP: how a caller's own stand, and the operator's way to raise a conversation's cap.

    GET  /v1/bursar/budget
    POST /v1/bursar/conversations/ID/resume    {"limit_usd": "2"}

Whose it is, `x-bursar-tenant`, `-agent`, `-user` and `-conversation` say, as in calls. The first shows
nothing of other tenants, and so not the organisation, whose amounts are all tenants'.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bursar.domain.attribution import LABEL_CHARS_MAX
from bursar.domain.reservations import Unit
from bursar.domain.scopes import Scope, ScopeKind, scopes_of
from bursar.effects import Reply
from bursar.errors import BadRequest, CallerMistake, StoreFailed
from bursar.exchange.arrival import attribute
from bursar.exchange.engine import Engine
from bursar.gateway.connection import BodyTooLarge, Connection
from bursar.policy.budgets.states import BudgetState, states_of
from bursar.policy.keys.ring import Grant
from bursar.ports import BudgetStore, Clock
from bursar.settings.stored import read_limits

PATH = "/v1/bursar/budget"
CONVERSATIONS = "/v1/bursar/conversations/"
_RESUME = "/resume"

_BODY_BYTES_MAX = 4096
_JSON = {"content-type": "application/json", "cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class Raise:
    """New caps that an operator asks for.

    Attributes:
        scope: The conversation.
        limits: Its new limits, by unit; none: it only goes on after a loop.
        force: Whether they are set even if no cap stops it, or to less than they are.
        by: Who asks, for the audit log: a key's id; empty for whoever has the operator's token.
    """

    scope: Scope
    limits: Mapping[Unit, int]
    force: bool
    by: str = ""


RaiseCaps = Callable[[Raise], Awaitable[Sequence[BudgetState]]]
"""Raises caps, in force once it returns, and says how they stand.

Raises `CallerMistake` where that must not be done, and `StoreFailed`.
"""


class BudgetPages:
    """Answers what clients and operators ask about budgets.

    Args:
        engine: The budgets in force.
        store: Where their counters are.
        clock: What time it is.
        raise_caps: Raises a conversation's caps.
    """

    def __init__(self, engine: Engine, store: BudgetStore, clock: Clock, *, raise_caps: RaiseCaps) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._raise_caps = raise_caps

    async def answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        connection: Connection,
        grant: Grant | None = None,
    ) -> Reply | None:
        """Answer a path of budgets; None for all others. Whoever asks was let in to it.

        Args:
            method: HTTP method.
            path: The whole path.
            headers: The client's, names in lower case; what its key pins is said there.
            connection: The client's.
            grant: What its key allows; None where it came without one.

        Raises:
            BodyLate: The body did not arrive in time.
            ClientLeft: The client closed the connection before its request was complete.
        """
        is_resume = path.startswith(CONVERSATIONS) and path.endswith(_RESUME)
        if path != PATH and not is_resume:
            return None
        key_id = "" if grant is None else grant.key_id
        allowed = "POST" if is_resume else "GET"
        if method != allowed:
            return _refuse(405, "method_not_allowed", f"use {allowed}", allow=allowed)
        try:
            if is_resume:
                return await self._resume(path, headers, connection, key_id)
            return _show(await self._of_caller(headers, key_id))
        except BodyTooLarge:
            return _refuse(413, "request_too_large", f"the body is longer than {_BODY_BYTES_MAX} bytes")
        except CallerMistake as mistake:
            return _refuse(400, "invalid_request_error", str(mistake))
        except StoreFailed as failure:
            return _refuse(503, "api_error", str(failure))

    async def _of_caller(self, headers: Mapping[str, str], key_id: str) -> Sequence[BudgetState]:
        scopes = scopes_of(attribute(headers, ""), key_id)
        own = [scope for scope in scopes if scope.kind is not ScopeKind.ORGANISATION]
        now_s = self._clock.now()
        budgets = self._engine.budgets.for_scopes(own, now_s)
        levels = await self._store.read([counter for _, _, counter in budgets], now_s)
        return states_of(budgets, levels, self._engine.stops, now_s)

    async def _resume(
        self, path: str, headers: Mapping[str, str], connection: Connection, key_id: str
    ) -> Reply:
        body = await connection.body(headers, _BODY_BYTES_MAX)
        name = path.removeprefix(CONVERSATIONS).removesuffix(_RESUME)
        if not name or len(name) > LABEL_CHARS_MAX or not name.isprintable():
            raise BadRequest(f"a conversation has 1 to {LABEL_CHARS_MAX} printable characters")
        scope = Scope(ScopeKind.CONVERSATION, attribute(headers, "").tenant, name)
        table = _read_object(body)
        force = table.pop("force", False)
        if not isinstance(force, bool):
            raise BadRequest("is true or false", place="force")
        # Without a limit, only a conversation that was stopped for its loop can go on.
        limits = read_limits(table, "body") if table else {}
        return _show(await self._raise_caps(Raise(scope, limits, force, key_id)))


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        table: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON ({error})") from None
    if not isinstance(table, dict):
        raise BadRequest('the body is no JSON object, such as {"limit_usd": "2"}')
    return table  # pyright: ignore[reportUnknownVariableType] - Its members are checked next.


def _show(states: Sequence[BudgetState]) -> Reply:
    return Reply(200, _JSON, orjson.dumps({"rows": [state.as_object() for state in states]}))


def _refuse(status: int, kind: str, message: str, **headers: str) -> Reply:
    body = orjson.dumps({"error": {"type": kind, "message": message}})
    return Reply(status, {**_JSON, **headers}, body)
