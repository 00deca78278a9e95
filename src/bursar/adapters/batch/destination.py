"""Whoever answers a batch's calls: a gateway of Bursar's, or a provider itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from bursar.adapters.timers import CoarseTimers
from bursar.adapters.upstream import HttpUpstream
from bursar.domain.money import nusd_from_usd
from bursar.errors import BadAmount
from bursar.policy.batch.judging import Charged
from bursar.ports import UpstreamRequest

_NAME = "batch"
_CONNECT_S = 10.0
_ANTHROPIC_VERSION = "2023-06-01"
_REASON_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Destination:
    """Where calls go.

    Attributes:
        base_url: As the dialect's SDK takes it.
        dialect: The API that is spoken there.
        is_gateway: Whether it is a gateway of Bursar's, which books costs and keeps answers.
        provider_key: The provider's key; empty for none, where the gateway has the operator's.
        own_key: A virtual key of the gateway's; empty for none.
        labels: Attribution headers for the gateway.
        timeout_s: How long a call may take.
    """

    base_url: str
    dialect: str
    is_gateway: bool
    provider_key: str = ""
    own_key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 600.0

    @property
    def is_anthropic(self) -> bool:
        """Whether Anthropic's API is spoken."""
        return self.dialect.startswith("anthropic")

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        headers: dict[str, str] = {"content-type": "application/json"}
        if self.is_anthropic:
            headers["anthropic-version"] = _ANTHROPIC_VERSION
        if self.provider_key and self.is_anthropic:
            headers["x-api-key"] = self.provider_key
        elif self.provider_key:
            headers["authorization"] = f"Bearer {self.provider_key}"
        if self.is_gateway:
            headers |= {f"x-bursar-{name}": value for name, value in self.labels.items()}
            if self.own_key:
                headers["x-bursar-key"] = self.own_key
        return headers


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def charged(self) -> Charged:
        """What the gateway says that it cost."""
        try:
            cost_nusd = nusd_from_usd(self.headers["x-bursar-cost-usd"])
        except (KeyError, BadAmount):
            cost_nusd = None
        return Charged(cost_nusd, from_cache=self.headers.get("x-bursar-cache") in {"hit", "joined"})

    @property
    def reason(self) -> str:
        """Why it failed, for a person."""
        try:
            said = _ERROR.decode(self.body).error.message
        except msgspec.DecodeError:
            said = ""
        return f"{self.status}: {said or 'no reason was given'}"[:_REASON_CHARS_MAX]


class _Error(msgspec.Struct):
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error


_ERROR = msgspec.json.Decoder(_ErrorBody)


class Connection:
    """Sends requests to a destination. Use it from one event loop, and close it.

    Args:
        destination: Where they go.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._headers = destination.headers()
        self._upstream = HttpUpstream({_NAME: destination.base_url}, {_NAME: _CONNECT_S}, CoarseTimers())

    async def call(self, body: bytes, key: str) -> Response:
        """Make one call.

        Args:
            body: The request.
            key: Names the call: the same for each time it is asked.

        Raises:
            UpstreamFailed: There was no answer.
        """
        own = {"idempotency-key": key}
        if self.destination.is_gateway:
            # An answer that nobody waits for any more is finished and kept, for who asks the same again.
            own |= {"x-bursar-cache": "on", "x-bursar-on-leave": "finish"}
        path = "/v1/messages" if self.destination.is_anthropic else "/chat/completions"
        return await self.request("POST", path, body, own)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        """Make any request.

        Raises:
            UpstreamFailed: There was no answer.
        """
        response = await self._upstream.send(
            UpstreamRequest(
                _NAME, method, path, {**self._headers, **(headers or {})}, body, self.destination.timeout_s
            )
        )
        try:
            return Response(response.status, response.headers, await response.read())
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()
