"""The providers over HTTP, by aiohttp."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from bursar.adapters.timers import Deadline
from bursar.errors import UpstreamFailed
from bursar.ports import Timers, UpstreamRequest

# aiohttp reads a response's head into this much; providers send long rate-limit headers.
_HEADER_BYTES_MAX = 64 * 1024

_AUTO_HEADERS = frozenset(("user-agent", "content-type"))


class HttpUpstream:
    """Sends requests to the configured base URLs and to nothing else.

    Args:
        base_urls: Base URL by upstream name, as the SDKs take it.
        connect_timeout_s: How long connecting may take, by upstream name.
        timers: Limit the time of each request.
    """

    def __init__(
        self, base_urls: Mapping[str, str], connect_timeout_s: Mapping[str, float], timers: Timers
    ) -> None:
        self._base_urls = {name: url.rstrip("/") for name, url in base_urls.items()}
        # The library's own limit on a whole request is set and cancelled in the event loop each time.
        self._timeouts = {
            name: aiohttp.ClientTimeout(total=None, sock_connect=limit_s)
            for name, limit_s in connect_timeout_s.items()
        }
        self._timers = timers
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, request: UpstreamRequest) -> "HttpResponse":
        """Send a request and return once the response's head has arrived.

        Raises:
            UpstreamFailed: There was no response.
        """
        session = self._session or self._open_session()
        headers = request.headers
        deadline = Deadline(self._timers, request.timeout_s)
        try:
            with deadline:
                response = await session.request(
                    request.method,
                    # Encoded already: what a client wrote as %2F must not arrive as a slash.
                    URL(self._base_urls[request.upstream] + request.path, encoded=True),
                    data=aiohttp.BytesPayload(request.body) if request.body else None,
                    headers=headers,
                    # aiohttp fills in what a client left out. To be told not to costs it more than the rest
                    # of the head, and nearly all clients leave nothing out.
                    skip_auto_headers=None if headers.keys() >= _AUTO_HEADERS else _AUTO_HEADERS,
                    timeout=self._timeouts[request.upstream],
                    allow_redirects=False,
                )
        except BaseException as error:
            deadline.end()
            if isinstance(error, _FAILURES):
                raise _failure(error, sent=not isinstance(error, _NEVER_SENT)) from None
            raise
        return HttpResponse(response, deadline)

    def _open_session(self) -> aiohttp.ClientSession:
        """Open the session, which belongs to the event loop that runs by now."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Compressed answers would have to be unpacked here and delay a stream's events.
            headers={"accept-encoding": "identity"},
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )
        return self._session


class HttpResponse:
    """A response whose head has arrived."""

    def __init__(self, response: aiohttp.ClientResponse, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self._headers = _lowered(response.headers)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""
        return self._headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield body bytes as they arrive.

        Raises:
            UpstreamFailed: The upstream broke off.
        """
        read = self._response.content.readany
        try:
            while True:
                with self._deadline:
                    chunk = await read()
                if not chunk:
                    return
                yield chunk
        except _FAILURES as error:
            raise _failure(error, sent=True) from None

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamFailed: The upstream broke off.
        """
        try:
            with self._deadline:
                return await self._response.read()
        except _FAILURES as error:
            raise _failure(error, sent=True) from None

    def close(self) -> None:
        """Drop the connection unless the body was read to its end, when it is back in the pool already."""
        self._deadline.end()
        self._response.close()


_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)

# A connection that was closing when we began to write has not carried a whole request.
_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectionResetError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


def _lowered(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """Return headers with names in lower case; one that comes twice is joined (RFC 9110, 5.3)."""
    lowered: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        lowered[key] = f"{lowered[key]}, {value}" if key in lowered else value
    return lowered


def _failure(error: Exception, *, sent: bool) -> UpstreamFailed:
    """Describe a failure without addresses: it may be shown to a client."""
    if isinstance(error, asyncio.TimeoutError):
        where = "answering" if sent else "being connected to"
        return UpstreamFailed(f"the provider took too long {where}", sent=sent, timed_out=True)
    if not sent:
        return UpstreamFailed("the provider cannot be reached", sent=False)
    return UpstreamFailed("the provider broke the connection off", sent=True)
