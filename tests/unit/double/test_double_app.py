import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from small_world import ANTHROPIC_HEADERS, NOW_S, OPENAI_HEADERS, claude, gpt, make_double

from bursar.double.app import DoubleApp
from bursar.double.provider import ProviderDouble


class StillClock:
    def now(self) -> float:
        return NOW_S

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


class Client:
    """The other end of one request: sends a body, notes what comes back, and may leave."""

    def __init__(self, body: bytes, *, leaves_after_s: float | None = None) -> None:
        self._body: bytes | None = body
        self._leaves_after_s = leaves_after_s
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._leaves_after_s is None:
            await asyncio.Event().wait()
        await asyncio.sleep(self._leaves_after_s or 0)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def finished(self) -> bool:
        return self.sent[-1].get("more_body") is False


async def ask(
    double: ProviderDouble,
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Client:
    route, _, query = path.partition("?")
    raw: Sequence[tuple[bytes, bytes]] = [(n.encode(), v.encode()) for n, v in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": route,
        "query_string": query.encode(),
        "headers": raw,
    }
    client = Client(body if isinstance(body, bytes) else orjson.dumps(body), **more)
    await asyncio.wait_for(DoubleApp(double, StillClock())(scope, client.receive, client.send), 5)
    return client


async def test_a_call_is_answered_and_on_the_bill() -> None:
    double = make_double()
    client = await ask(double, "POST", "/v1/messages", body=claude(), headers=ANTHROPIC_HEADERS)
    assert (client.status, client.finished) == (200, True)
    assert orjson.loads(client.body)["type"] == "message"
    bill = orjson.loads((await ask(double, "GET", "/bill")).body)
    assert bill["calls"] == 1
    rows = orjson.loads((await ask(double, "GET", "/bill?by=call")).body)["rows"]
    assert [row["status"] for row in rows] == [200]
    await ask(double, "POST", "/reset")
    assert orjson.loads((await ask(double, "GET", "/bill")).body)["calls"] == 0


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_it_is_well(path: str) -> None:
    assert (await ask(make_double(), "GET", path)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/messages"), ("POST", "/v1/responses"), ("POST", "/bill"), ("GET", "/reset")],
)
async def test_an_unknown_route_is_not_found(method: str, path: str) -> None:
    client = await ask(make_double(), method, path)
    assert client.status == 404
    assert orjson.loads(client.body)["error"]["type"] == "not_found_error"


async def test_models_are_listed_in_the_schema_of_who_asks() -> None:
    anthropic = await ask(make_double(), "GET", "/v1/models", headers=ANTHROPIC_HEADERS)
    assert [model["id"] for model in orjson.loads(anthropic.body)["data"]] == [
        "claude-test",
        "claude-unforced",
        "claude-unpriced",
    ]
    openai = await ask(make_double(), "GET", "/v1/models", headers=OPENAI_HEADERS)
    assert orjson.loads(openai.body)["object"] == "list"
    assert (await ask(make_double(), "GET", "/v1/models")).status == 401


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/messages", "request_too_large"),
        ("/v1/messages/count_tokens", "request_too_large"),
        ("/v1/chat/completions", "invalid_request_error"),
    ],
)
async def test_a_body_beyond_the_limit_is_refused(path: str, kind: str) -> None:
    size = {"content-length": str(32 * 1024 * 1024 + 1)}
    for client in (
        await ask(make_double(), "POST", path, body=b"", headers=size),
        await ask(make_double(), "POST", path, body=b" " * (32 * 1024 * 1024 + 1)),
    ):
        assert client.status == 413
        assert orjson.loads(client.body)["error"]["type"] == kind


async def test_a_stream_whose_client_leaves_is_billed_as_far_as_it_came() -> None:
    double = make_double(tokens_per_s=200)
    body = claude(stream=True)
    client = await ask(
        double, "POST", "/v1/messages", body=body, headers=ANTHROPIC_HEADERS, leaves_after_s=0.1
    )
    (row,) = double.bill.rows()
    assert not client.finished
    assert row.aborted
    # 0.1 s at 200 tokens a second, give or take an event and a slow machine.
    assert 5 <= row.usage.output <= 40
    assert row.usage.input == 1


async def test_a_client_that_leaves_before_the_first_token_pays_the_prompt_and_warms_nothing() -> None:
    double = make_double(first_token_s=10)
    mark = {"cache_control": {"type": "ephemeral"}}
    body = claude(stream=True, system=[{"type": "text", "text": "word " * 200, **mark}])
    client = await ask(double, "POST", "/v1/messages", body=body, headers=ANTHROPIC_HEADERS, leaves_after_s=0)
    (row,) = double.bill.rows()
    assert (client.sent, row.usage.cache_write_5m, row.usage.output) == ([], 200, 0)


async def test_a_whole_answer_that_nobody_waits_for_is_billed_whole() -> None:
    double = make_double(tokens_per_s=1)
    await ask(double, "POST", "/v1/chat/completions", body=gpt(), headers=OPENAI_HEADERS, leaves_after_s=0)
    (row,) = double.bill.rows()
    assert row.aborted
    assert row.usage.output > 10


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_leaves_the_body_unfinished(stream: bool) -> None:
    double = make_double(cut_rate=1)
    client = await ask(double, "POST", "/v1/messages", body=claude(stream=stream), headers=ANTHROPIC_HEADERS)
    assert (client.status, client.finished) == (200, False)
    assert client.body
    assert double.bill.rows()[0].cut


async def test_a_fault_of_the_doubles_own_shows_no_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    double = make_double()

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(double, "respond", fail)
    client = await ask(double, "POST", "/v1/messages", body=claude(), headers=ANTHROPIC_HEADERS)
    assert client.status == 500
    assert b"secret" not in client.body
