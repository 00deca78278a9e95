"""The provider double behind HTTP: a raw ASGI application.

Its clock runs at its own pace for cache expiry and dates; latency and the pace of streams are the wall's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from bursar.double.batches.desk import BatchDesk
from bursar.double.batches.pages import Visit
from bursar.double.calls import DoubleAnswer, DoubleCall
from bursar.double.provider import COUNT_PATH, FACES, ProviderDouble
from bursar.ports import Clock

_BODY_BYTES_MAX = 32 * 1024 * 1024

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Left(Exception):  # It never leaves this module.
    """The client has left."""


class DoubleApp:
    """Serves a provider double.

    Args:
        provider: The double.
        clock: Its time.
        batches: Its batch APIs; None where there are none.
    """

    def __init__(self, provider: ProviderDouble, clock: Clock, batches: BatchDesk | None = None) -> None:
        self._provider = provider
        self._clock = clock
        self._batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if method == "POST" and (path in FACES or path == COUNT_PATH):
                await self._call(DoubleCall(path, headers, b""), receive, send)
            elif self._batches is not None and self._batches.serves(path):
                await self._batch(self._batches, scope, headers, receive, send)
            else:
                status, body = self._own_route(method, path, scope["query_string"], headers)
                await _send_whole(send, status, {"content-type": "application/json"}, body)
        except _Left:
            return

    async def _call(self, head: DoubleCall, receive: Receive, send: Send) -> None:
        body = await _read_body(head, receive)
        if body is None:
            face = FACES.get(head.path) or FACES["/v1/messages"]
            refusal = face.too_large()
            await _send_whole(
                send, refusal.status, {"content-type": "application/json"}, face.error(refusal, "")
            )
            return
        call = DoubleCall(head.path, head.headers, body)
        try:
            if head.path == COUNT_PATH:
                answer = self._provider.count_tokens(call, self._clock.now())
            else:
                answer = self._provider.respond(call, self._clock.now())
        except Exception:  # noqa: BLE001 - the outermost boundary: a client gets an error, never a stack trace
            await _send_whole(send, 500, {"content-type": "application/json"}, _OWN_FAULT)
            return
        if answer.number == 0:
            await _send_whole(send, answer.status, answer.headers, answer.body)
        else:
            await _Delivery(self._provider, self._clock, answer, receive, send).run()

    async def _batch(
        self, batches: BatchDesk, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        method, path = scope["method"], scope["path"]
        body = await _read_body(DoubleCall(path, headers, b""), receive, batches.body_bytes_max)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        first = {name: values[0] for name, values in query.items()}
        try:
            page = batches.answer(Visit(method, path, first, headers, body or b"", self._clock.now()))
        except Exception:  # noqa: BLE001 - the outermost boundary: a client gets an error, never a stack trace
            await _send_whole(send, 500, _JSON, _OWN_FAULT)
            return
        if page is None:
            await _send_whole(send, 404, _JSON, _not_found(f"{method} {path}"))
        else:
            await _send_whole(send, page.status, page.headers, page.body)

    def _own_route(
        self, method: str, path: str, query: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if (method, path) in _HEALTH:
            return 200, b'{"status":"ok"}'
        if (method, path) == ("GET", "/bill"):
            if self._batches is not None:
                self._batches.advance(self._clock.now())
            by = parse_qs(query.decode("latin-1")).get("by", [""])[0]
            bill = self._provider.bill
            return 200, orjson.dumps(bill.by_call() if by == "call" else bill.summary())
        if (method, path) == ("POST", "/reset"):
            self._provider.reset()
            if self._batches is not None:
                self._batches.reset()
            return 200, b'{"status":"reset"}'
        if (method, path) == ("GET", "/v1/models"):
            answer = self._provider.list_models(headers)
            return answer.status, answer.body
        return 404, _not_found(f"{method} {path}")


_JSON = {"content-type": "application/json"}
_HEALTH = {("GET", "/health/live"), ("GET", "/health/ready")}
_OWN_FAULT = orjson.dumps(
    {"type": "error", "error": {"type": "api_error", "message": "The double itself failed on this request."}}
)


class _Delivery:
    """One answer on its way to the client."""

    def __init__(
        self, provider: ProviderDouble, clock: Clock, answer: DoubleAnswer, receive: Receive, send: Send
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._answer = answer
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._start_s = self._loop.time()
        self._receive = receive
        self._watch: asyncio.Future[Message] | None = None
        self._events_sent = 0
        self._settled = False

    async def run(self) -> None:
        """Deliver it, and bill it however that ends."""
        answer = self._answer
        try:
            await self._wait_until(answer.begins_at_s)
            answer.begun(self._clock.now())
            if answer.events:
                await self._stream()
            else:
                await self._whole()
        finally:
            if self._watch is not None:
                self._watch.cancel()
            self._settle(aborted=True)

    def _settle(self, *, aborted: bool) -> None:
        """Bill the answer once: before its last byte, so that whoever has it finds it billed."""
        if not self._settled:
            self._settled = True
            self._provider.settle(self._answer, events_sent=self._events_sent, aborted=aborted)

    async def _whole(self) -> None:
        answer = self._answer
        await self._wait_until(answer.ends_at_s)
        self._settle(aborted=False)
        if answer.cut_after is None:
            await _send_whole(self._send, answer.status, answer.headers, answer.body)
            return
        await _send_head(
            self._send, answer.status, {**answer.headers, "content-length": str(len(answer.body))}
        )
        # Returning with the body unfinished makes the server drop the connection.
        body = answer.body[: answer.cut_after]
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _stream(self) -> None:
        answer = self._answer
        await _send_head(self._send, answer.status, answer.headers)
        events = answer.events if answer.cut_after is None else answer.events[: answer.cut_after]
        index = 0
        while index < len(events):
            await self._wait_until(events[index].at_s)
            due: list[bytes] = []
            elapsed_s = self._loop.time() - self._start_s
            while index < len(events) and (events[index].at_s <= elapsed_s or not due):
                due.append(events[index].data)
                index += 1
            self._events_sent = index
            if index == len(events):
                self._settle(aborted=False)
            await self._send({"type": "http.response.body", "body": b"".join(due), "more_body": True})
        if answer.cut_after is None:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _wait_until(self, at_s: float) -> None:
        """Wait until a time after the call arrived.

        Raises:
            _Left: The client left before.
        """
        delay_s = at_s - (self._loop.time() - self._start_s)
        if delay_s > 0:
            await asyncio.wait([self._watching()], timeout=delay_s)
        if self._watch is not None and self._watch.done():
            raise _Left

    def _watching(self) -> "asyncio.Future[Message]":
        """Return what is done once the client has left: nothing else arrives after the body."""
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._receive())
        return self._watch


async def _read_body(head: DoubleCall, receive: Receive, bytes_max: int = _BODY_BYTES_MAX) -> bytes | None:
    """Return the body, or None where it is beyond the limit."""
    stated = head.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > bytes_max:
        return None
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Left
        chunk: bytes = message.get("body", b"")
        length += len(chunk)
        if length > bytes_max:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send_head(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _send_whole(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    await _send_head(send, status, {**headers, "content-length": str(len(body))})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _not_found(route: str) -> bytes:
    """Write an error that the clients of both APIs can read."""
    error = {"type": "not_found_error", "message": f"Not found: {route}", "param": None, "code": None}
    return orjson.dumps({"type": "error", "error": error})
