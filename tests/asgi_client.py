"""Speaks ASGI to an application in process, as a server would."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

ANTHROPIC_HEADERS = {"x-api-key": "sk-client", "anthropic-version": "2023-06-01"}
OPENAI_HEADERS = {"authorization": "Bearer sk-client"}


@dataclass(frozen=True)
class Answered:
    """What an application sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        method: HTTP method.
        target: Path and query as they stand in the request line.
        headers: Names in lower case.
        parts: The body, as it arrives.
        leaves: Whether the client closes the connection amid the body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    parts: Sequence[bytes] = (b"",)
    leaves: bool = False

    @property
    def scope(self) -> dict[str, Any]:
        """The scope, made as uvicorn makes it."""
        raw_path, _, query = self.target.partition("?")
        return {
            "type": "http",
            "method": self.method,
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": query.encode("latin-1"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()],
        }


async def ask(app: Any, asked: Asked) -> Answered | None:
    """Ask an application once; None if it sent nothing back.

    It fails if the application breaks ASGI's rules: two heads, a body before its head, or an unfinished
    one.
    """
    waiting = [
        {"type": "http.request", "body": part, "more_body": asked.leaves or number < len(asked.parts) - 1}
        for number, part in enumerate(asked.parts)
    ]
    if asked.leaves:
        waiting.append({"type": "http.disconnect"})
    head: dict[str, Any] | None = None
    body = b""
    ended = False

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(sent: dict[str, Any]) -> None:
        nonlocal head, body, ended
        assert not ended
        if sent["type"] == "http.response.start":
            assert head is None
            head = sent
        else:
            assert head is not None
            body += sent.get("body", b"")
            ended = not sent.get("more_body", False)

    await app(asked.scope, receive, send)
    if head is None:
        return None
    assert ended
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head["headers"]}
    assert all(name == name.lower() for name in headers)
    if "content-length" in headers:
        assert len(body) == int(headers["content-length"])
    return Answered(head["status"], headers, body)


async def post(app: Any, target: str, body: Any, **headers: str) -> Answered:
    """Post a body (bytes, or what becomes JSON) as either provider's client does, by its path."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    own = ANTHROPIC_HEADERS if target.startswith("/v1/messages") else OPENAI_HEADERS
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**own, "content-type": "application/json", "content-length": str(len(content)), **more}
    answered = await ask(app, Asked("POST", target, sent, [content]))
    assert answered is not None
    return answered


async def get(app: Any, target: str, **headers: str) -> Answered:
    """Get a path."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    answered = await ask(app, Asked("GET", target, more))
    assert answered is not None
    return answered
