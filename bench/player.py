"""Plays recorded conversations over HTTP, as their clients would: each call after the one before it."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bursar.replay.files import Skipped, Watching, open_recordings
from bursar.replay.transcripts import Asking, Conversation

_PATHS = {"anthropic.messages": "/v1/messages", "openai.chat": "/v1/chat/completions"}
_KEYS = {
    "anthropic.messages": {"x-api-key": "bench", "anthropic-version": "2023-06-01"},
    "openai.chat": {"authorization": "Bearer bench"},
}


@dataclass(frozen=True, slots=True)
class Play:
    """One conversation, ready to be played.

    Attributes:
        path: Path of the API.
        headers: Headers of every call.
        calls: Seconds since the conversation began (None: at once), and the body, of each call.
    """

    path: str
    headers: dict[str, str]
    calls: Sequence[tuple[float | None, bytes]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How conversations are played.

    Attributes:
        together: How many side by side.
        time_scale: How much faster time runs than recorded.
        gap_s: Between calls whose times are not known, and between conversations, in recorded time.
    """

    together: int = 1
    time_scale: float = 1.0
    gap_s: float = 0.0


def read_conversations(file: Path) -> list[Conversation]:
    """Read a file of transcripts."""
    watching = Watching(Skipped(), print, lambda _: None)
    (items,) = open_recordings([str(file)], watching)
    return [item for item in items if isinstance(item, Conversation)]


def plays(conversations: Sequence[Conversation], asking: Asking, *, careful: bool) -> list[Play]:
    """Prepare conversations.

    Args:
        conversations: Which.
        asking: How they become requests.
        careful: Whether the client sets cache marks itself: on the system text and the last message.
    """
    return [
        Play(
            path=_PATHS[asking.dialect],
            headers={
                "content-type": "application/json",
                **_KEYS[asking.dialect],
                **{f"x-bursar-{name}": value for name, value in conversation.labels.items()},
            },
            calls=[
                (exchanged.at_s, _marked(body) if careful else body)
                for exchanged, body in asking.bodies(conversation)
            ],
        )
        for conversation in conversations
    ]


def _marked(body: bytes) -> bytes:
    request: dict[str, Any] = json.loads(body)
    mark = {"cache_control": {"type": "ephemeral"}}
    if request.get("system"):
        request["system"] = [{"type": "text", "text": request["system"], **mark}]
    last = request["messages"][-1]
    if isinstance(last["content"], str):
        last["content"] = [{"type": "text", "text": last["content"]}]
    last["content"][-1].update(mark)
    return json.dumps(request).encode()


async def play_all(base_url: str, conversations: Sequence[Play], pace: Pace) -> int:
    """Play conversations and return how many calls failed."""
    waiting = iter(conversations)
    async with aiohttp.ClientSession(base_url) as session:
        lanes = [_Lane(session, pace, number) for number in range(pace.together)]
        await asyncio.gather(*[lane.play(waiting) for lane in lanes])
    return sum(lane.failures for lane in lanes)


class _Lane:
    """Plays conversations one after another, each call at its time or as soon after it as it can."""

    def __init__(self, session: aiohttp.ClientSession, pace: Pace, number: int) -> None:
        self._session = session
        self._pace = pace
        self._started = time.perf_counter()
        self._due_s = pace.gap_s * number / pace.together
        self.failures = 0

    async def play(self, waiting: Iterator[Play]) -> None:
        for play in waiting:
            begins_s = self._due_s
            for at_s, body in play.calls:
                self._due_s = self._due_s if at_s is None else begins_s + at_s
                await self._wait()
                await self._call(play, body)
                self._due_s += self._pace.gap_s

    async def _wait(self) -> None:
        elapsed_s = time.perf_counter() - self._started
        await asyncio.sleep(max(0.0, self._due_s / self._pace.time_scale - elapsed_s))

    async def _call(self, play: Play, body: bytes) -> None:
        async with self._session.post(play.path, data=body, headers=play.headers) as response:
            answer = await response.read()
            if response.status != 200:
                self.failures += 1
                print(response.status, answer[:300])
