"""The ASGI application."""

import asyncio
import hashlib
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from bursar.drivers.asynchronous import CallDriver, World
from bursar.errors import BursarError, UpstreamFailed
from bursar.exchange.arrival import Arrival
from bursar.exchange.engine import Engine
from bursar.exchange.headers import for_client, for_provider
from bursar.exchange.life import live
from bursar.gateway import keys as key_pages
from bursar.gateway import results
from bursar.gateway.auth import BUDGETS, OPERATING, RESULTS, Door, Guard, door_to
from bursar.gateway.budgets import CONVERSATIONS, BudgetPages
from bursar.gateway.connection import (
    BodyLate,
    BodyTooLarge,
    ClientLeft,
    Connection,
    Receive,
    Send,
    Staying,
)
from bursar.gateway.health import Health
from bursar.gateway.hosts import Hosts
from bursar.gateway.keys import KeyPages
from bursar.gateway.results import FullResults
from bursar.gateway.routes import ROUTES, Charge, Route, error_dialect, find_route, upstream_path
from bursar.policy.keys.ring import Grant
from bursar.ports import UpstreamRequest
from bursar.wire.dialect import Dialect, Fault
from bursar.wire.dialects import DIALECTS

LOG = logging.getLogger("bursar.gateway")

# What lies below is answered here; nothing of it reaches a provider.
_OWN = "/v1/bursar/"
_HEALTH = "/health/"

# With "finish", a call is seen through although its client leaves: who asks the same again finds its answer
# in the response cache, and nothing is paid twice.
_ON_LEAVE = "x-bursar-on-leave"

# How long shutdown waits for calls that were cancelled: they only have to be recorded yet.
_LAST_CALLS_S = 10.0

# How much of what a client wrote is shown to it again.
_SHOWN_CHARS_MAX = 200

_DOORS = {route.upstream: door_to(route.upstream) for route in ROUTES}

_CLOSED = Fault(
    503,
    "api_error",
    "the ledger cannot be written; calls are refused until it can (storage.on_store_failure)",
)
_BODY_LATE = Fault(
    408, "timeout_error", "the request's body did not arrive in time (server.body_timeout_s); send it at once"
)
_OWN_FAULT = Fault(502, "api_error", "Bursar failed on this call; its log says why under this operation id")


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What the gateway needs beside the engine.

    Attributes:
        body_limit_bytes: Longer request bodies are refused.
        provider_keys: The operator's own key per upstream; absent: the client's passes through.
        forward_attribution: Upstreams that may see `x-bursar-*` headers.
        timeout_s: How long a request that costs nothing may take.
        budgets: Answers what is asked about budgets; None where nothing is.
        keys: Answers what operators ask about keys; None where nothing is.
        guard: Lets requests in.
        hosts: The names that the gateway answers to.
        body_timeout_s: How long a request's body may take to arrive.
    """

    body_limit_bytes: int
    provider_keys: Mapping[str, str]
    forward_attribution: frozenset[str]
    timeout_s: float = 60.0
    budgets: BudgetPages | None = None
    keys: KeyPages | None = None
    guard: Guard = field(default_factory=Guard)
    hosts: Hosts = field(default_factory=Hosts)
    body_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What lives as long as the gateway serves.

    Attributes:
        resources: Entered at start-up and left at shutdown.
        preparations: What is done before the first call is taken.
        chores: What runs beside the calls, until it is cancelled.
    """

    resources: AsyncExitStack
    preparations: Sequence[Callable[[], Awaitable[None]]] = ()
    chores: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()


@dataclass(slots=True)
class _Visit:
    """A request that was let in, for a provider.

    Attributes:
        route: Where it goes.
        scope: Its ASGI scope.
        headers: Its headers, names in lower case; no virtual key is among them any more.
        operation_id: Names it everywhere.
        grant: What its key allows; None where it came without one.
    """

    route: Route
    scope: Mapping[str, Any]
    headers: Mapping[str, str]
    operation_id: str
    grant: Grant | None


class Gateway:
    """The ASGI application: routes a request to its exchange, or passes it on free of charge.

    Args:
        engine: What plans and settles calls.
        world: What exchanges act on.
        options: The operator's settings.
        health: Answers `/health/*` and `/metrics`.
        lifetime: What lives as long as the gateway serves.
    """

    def __init__(
        self,
        engine: Engine,
        world: World,
        options: GatewayOptions,
        health: Health,
        *,
        lifetime: Lifetime,
    ) -> None:
        self._engine = engine
        self._world = world
        self._options = options
        self._health = health
        self._lifetime = lifetime
        self._results = FullResults(world.content, world.clock)
        self._under_way = 0
        self._all_ended = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            connection = Connection(receive, send, self._world.timers, self._options.body_timeout_s)
            await self._serve(scope, connection)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        async with self._lifetime.resources, AsyncExitStack() as chores:
            try:
                for prepare in self._lifetime.preparations:
                    await prepare()
            except BursarError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            for chore in self._lifetime.chores:
                chores.push_async_callback(_end, asyncio.create_task(chore()))
            await receive()
            self._health.ready = True
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._health.ready = False
            await self._await_calls()
        await send({"type": "lifespan.shutdown.complete"})

    async def _await_calls(self) -> None:
        """Wait for calls under way to be recorded: a server cancels them, but does not wait for their end."""
        self._all_ended.clear()
        if self._under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_CALLS_S):
                    await self._all_ended.wait()

    async def _serve(self, scope: dict[str, Any], connection: Connection) -> None:
        method: str = scope["method"]
        path: str = scope["path"]
        headers = _headers(scope["headers"])
        foreign = self._options.hosts.refuse_foreign(headers)
        # Who asks whether the gateway lives has no name for it.
        own = self._health.answer(method, path) if foreign is None or path.startswith(_HEALTH) else None
        if own is not None:
            await connection.answer(own.status, own.headers, own.body)
            return
        operation_id = self._world.ids.new()
        route = find_route(method, path, headers)
        dialect = DIALECTS[route.dialect if route else error_dialect(path, headers)]
        try:
            admitted = foreign or self._admit(route, scope, headers)
            if isinstance(admitted, Fault):
                fault = admitted
            elif path.startswith(_OWN) and await self._answer_own(scope, headers, connection, admitted):
                return
            elif route is None:
                asked = f"{method} {path}"[:_SHOWN_CHARS_MAX]
                fault = Fault(404, "not_found_error", f"Bursar serves no {asked}; see its README for routes")
            elif not self._health.accepting:
                fault = _CLOSED
            else:
                await self._route(_Visit(route, scope, headers, operation_id, admitted), connection)
                return
        except BodyTooLarge:
            limit = self._options.body_limit_bytes
            fault = Fault(
                413, "request_too_large", f"the body is longer than {limit} bytes (server.body_limit_bytes)"
            )
        except BodyLate:
            fault = _BODY_LATE
        except ClientLeft:
            return
        except Exception as error:  # noqa: BLE001 - The process boundary: a fault of ours must not reach a client as a trace.
            _log(error, operation_id)
            if connection.started:
                await connection.end(dialect.error_event(_OWN_FAULT, operation_id))
                return
            fault = _OWN_FAULT
        await _refuse(connection, dialect, fault, operation_id)

    def _admit(
        self, route: Route | None, scope: Mapping[str, Any], headers: dict[str, str]
    ) -> Grant | Fault | None:
        """Look for the request's key; it is taken out of the headers."""
        door = _own_door(scope["path"]) if route is None else _DOORS[route.upstream]
        return self._options.guard.admit(door, scope, headers, self._world.clock.now())

    async def _answer_own(
        self, scope: dict[str, Any], headers: dict[str, str], connection: Connection, grant: Grant | None
    ) -> bool:
        """Answer a path of our own; False where there is none such."""
        method: str = scope["method"]
        path: str = scope["path"]
        if path.startswith(results.PREFIX):
            query = scope["query_string"].decode("latin-1")
            reply = await self._results.answer(method, path, query, headers)
        elif path.startswith(key_pages.PATH):
            pages = self._options.keys
            if pages is None or grant is None:
                return False
            reply = await pages.answer(method, path, headers, connection, grant)
        elif self._options.budgets is not None:
            reply = await self._options.budgets.answer(method, path, headers, connection, grant)
        else:
            reply = None
        if reply is None:
            return False
        await connection.answer(reply.status, reply.headers, reply.body)
        return True

    async def _route(self, visit: _Visit, connection: Connection) -> None:
        route, headers, operation_id = visit.route, visit.headers, visit.operation_id
        at_s = self._world.clock.now()
        encoding = headers.get("content-encoding", "identity")
        dialect = DIALECTS[route.dialect]
        if encoding != "identity":
            fault = Fault(
                415, "invalid_request_error", f"content-encoding {encoding!r} is not taken; send plain JSON"
            )
            await _refuse(connection, dialect, fault, operation_id)
            return
        body = await connection.body(headers, self._options.body_limit_bytes)
        path = upstream_path(route, visit.scope["path"], visit.scope["query_string"].decode("latin-1"))
        outgoing = self._outgoing(route.upstream, headers, operation_id)
        if route.charge is Charge.FREE:
            request = UpstreamRequest(
                route.upstream, route.method, path, outgoing, body, self._options.timeout_s
            )
            await self._pass(request, connection, dialect, operation_id)
            return
        arrival = Arrival(
            operation_id=operation_id,
            at_s=at_s,
            dialect=route.dialect,
            upstream=route.upstream,
            path=path,
            headers=headers,
            outgoing=outgoing,
            body=body,
            credential=_credential(outgoing),
            grant=visit.grant,
        )
        await self._exchange(arrival, connection)

    async def _exchange(self, arrival: Arrival, connection: Connection) -> None:
        client = Staying(connection) if arrival.headers.get(_ON_LEAVE) == "finish" else connection
        driver = CallDriver(self._world, client)
        self._under_way += 1
        try:
            reply = await driver.run(live(self._engine, arrival))
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._all_ended.set()
        if driver.streaming:
            await connection.end(reply.body)
            await driver.finish()
        else:
            await connection.answer(reply.status, reply.headers, reply.body)

    async def _pass(
        self, request: UpstreamRequest, connection: Connection, dialect: Dialect, operation_id: str
    ) -> None:
        """Pass on a request that costs nothing."""
        try:
            response = await self._world.upstream.send(request)
            try:
                body = await response.read()
            finally:
                response.close()
        except UpstreamFailed as failure:
            await _refuse(connection, dialect, Fault(502, "api_error", str(failure)), operation_id)
            return
        headers = {**for_client(response.headers), "x-bursar-operation-id": operation_id}
        await connection.answer(response.status, headers, body)

    def _outgoing(self, upstream: str, headers: Mapping[str, str], operation_id: str) -> dict[str, str]:
        """Return the headers that go upstream, with the operator's own key where there is one."""
        forward = upstream in self._options.forward_attribution
        outgoing = for_provider(headers, attribution=forward)
        if forward:
            outgoing["x-bursar-operation-id"] = operation_id
        key = self._options.provider_keys.get(upstream)
        if key is not None:
            outgoing.pop("authorization", None)
            outgoing.pop("x-api-key", None)
            if upstream == "anthropic":
                outgoing["x-api-key"] = key
            else:
                outgoing["authorization"] = f"Bearer {key}"
        return outgoing


async def _end(chore: "asyncio.Task[None]") -> None:
    chore.cancel()
    with suppress(asyncio.CancelledError):
        await chore


def _own_door(path: str) -> Door:
    if path.startswith(results.PREFIX):
        return RESULTS
    return OPERATING if path.startswith((CONVERSATIONS, key_pages.PATH)) else BUDGETS


async def _refuse(connection: Connection, dialect: Dialect, fault: Fault, operation_id: str) -> None:
    headers = {"content-type": "application/json", "x-bursar-operation-id": operation_id}
    if fault is _BODY_LATE:
        # Whatever else arrives of it would be read as the next request.
        headers["connection"] = "close"
    await connection.answer(fault.status, headers, dialect.error(fault, operation_id))


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read headers; a name that comes twice is joined as RFC 9110, 5.3 says."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    if len(headers) == len(raw):
        return headers
    headers.clear()
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _credential(outgoing: Mapping[str, str]) -> bytes:
    """Name the provider account that a request is billed to, without keeping its key."""
    secret = outgoing.get("x-api-key") or outgoing.get("authorization") or ""
    return hashlib.blake2b(secret.encode("latin-1", "replace"), digest_size=16).digest()


def _log(error: Exception, operation_id: str) -> None:
    """Log where an error arose. Its message may hold a prompt, so it stays out."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("%s: %s in\n%s", operation_id, type(error).__name__, frames)
