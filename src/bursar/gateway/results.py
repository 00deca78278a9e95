"""Full tool results, of which a part was sent: `GET /v1/bursar/results/HANDLE?rows=&offset=&fields=`."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs

import orjson

from bursar.effects import Reply
from bursar.errors import BadRequest
from bursar.exchange.arrival import attribute
from bursar.policy.tool_results.selection import select
from bursar.ports import Clock, ContentKey, ContentKind, ContentStore

PREFIX = "/v1/bursar/results/"

_HANDLE_CHARS = 32
_KEYS = ("rows", "offset", "fields")
_COUNT_DIGITS_MAX = 9

# Selecting from this many characters takes about 2 ms; longer results leave the event loop.
_INLINE_CHARS = 50_000

_JSON = {"content-type": "application/json"}
_TEXT = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}


class FullResults:
    """Serves full tool results to the tenant whose they are.

    Args:
        content: Where they are kept.
        clock: What time it is.
    """

    def __init__(self, content: ContentStore, clock: Clock) -> None:
        self._content = content
        self._clock = clock

    async def answer(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Reply:
        """Answer a request below `PREFIX`.

        Args:
            method: HTTP method.
            path: The whole path.
            query: The query, without its question mark.
            headers: The client's headers, names in lower case.
        """
        if method != "GET":
            return _refuse(405, "method_not_allowed", "use GET", allow="GET")
        try:
            tenant = attribute(headers, "").tenant
            rows, offset, fields = _read_query(query)
        except BadRequest as error:
            return _refuse(400, "invalid_request_error", str(error))
        text = await self._find(tenant, path.removeprefix(PREFIX))
        if text is None:
            return _refuse(
                404,
                "not_found_error",
                "no such result is kept for this tenant: it is of another tenant (x-bursar-tenant), "
                "or has outlived its time",
            )
        if len(text) <= _INLINE_CHARS:
            part = select(text, rows=rows, fields=fields, offset=offset)
        else:
            part = await asyncio.to_thread(select, text, rows=rows, fields=fields, offset=offset)
        return Reply(200, _TEXT, part.encode())

    async def _find(self, tenant: str, handle: str) -> str | None:
        if len(handle) != _HANDLE_CHARS or not set(handle) <= set("0123456789abcdef"):
            return None
        key = ContentKey(tenant, ContentKind.RESULT, bytes.fromhex(handle))
        content = await self._content.get(key, self._clock.now())
        return None if content is None else content.decode()


def _read_query(query: str) -> tuple[int | None, int, list[str]]:
    """Read rows, offset and fields.

    Raises:
        BadRequest: One of them is malformed, or there is something else.
    """
    given = parse_qs(query, keep_blank_values=True)
    for name in given:
        if name not in _KEYS:
            raise BadRequest(f"unknown; known here: {', '.join(_KEYS)}", place=name[:40])
    counts: dict[str, int] = {}
    for name in ("rows", "offset"):
        if name in given:
            value = given[name][-1]
            if not (value.isascii() and value.isdigit()) or len(value) > _COUNT_DIGITS_MAX:
                raise BadRequest(f"a whole number was expected, found {value[:40]!r}", place=name)
            counts[name] = int(value)
    fields = [field for value in given.get("fields", []) for field in value.split(",") if field]
    return counts.get("rows"), counts.get("offset", 0), fields


def _refuse(status: int, kind: str, message: str, **headers: str) -> Reply:
    body = orjson.dumps({"error": {"type": kind, "message": message}})
    return Reply(status, {**_JSON, **headers}, body)
