"""The demo's agents: scripts played through the official SDKs, many at once."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

from bursar.demo.scripts import ANTHROPIC, Json, Script
from bursar.errors import CallerMistake, DemoFailed

_TOGETHER = 12


def require_sdks() -> None:
    """Check that both SDKs are there.

    Raises:
        CallerMistake: One is missing.
    """
    if find_spec("anthropic") is None or find_spec("openai") is None:
        raise CallerMistake(
            "the demo plays through the official SDKs, which are not installed: pip install 'bursar[sdk]'"
        )


async def play_scripts(
    gateway: str, conversations: Sequence[Sequence[Script]], played: Callable[[], None]
) -> None:
    """Play conversations, a dozen at a time; the threads of each one after another.

    Args:
        gateway: Its URL.
        conversations: Threads of each conversation.
        played: Told of each call that was answered.

    Raises:
        DemoFailed: An SDK raised an error; no further call is made.
    """
    async with AsyncExitStack() as stack:
        agents = await _connect(stack, gateway, played)
        first: Exception | None = None
        waiting = iter(conversations)

        async def lane() -> None:
            for threads in waiting:
                for script in threads:
                    await agents.play(script)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_TOGETHER):
                    group.create_task(lane())
        except* DemoFailed as failures:
            first = failures.exceptions[0]
    if first is not None:
        raise first


async def _connect(stack: AsyncExitStack, gateway: str, played: Callable[[], None]) -> "_Agents":
    import anthropic  # noqa: PLC0415 - an extra that only the demo needs
    import openai  # noqa: PLC0415 - the same

    # All that an agent's developer changes is the base URL.
    claude = anthropic.AsyncAnthropic(base_url=gateway, api_key="demo")
    gpt = openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="demo")
    return _Agents(
        await stack.enter_async_context(claude),
        await stack.enter_async_context(gpt),
        (anthropic.AnthropicError, openai.OpenAIError),
        played,
    )


class _Agents:
    """Both SDKs' clients, by what they have in common."""

    def __init__(
        self,
        claude: Any,
        gpt: Any,
        errors: tuple[type[Exception], ...],
        played: Callable[[], None],
    ) -> None:
        self._claude = claude
        self._gpt = gpt
        self._errors = errors
        self._played = played

    async def play(self, script: Script) -> None:
        create = (
            self._claude.messages.create if script.dialect == ANTHROPIC else self._gpt.chat.completions.create
        )
        for body in script.requests():
            try:
                await _call(create, body, script.labels())
            except self._errors as error:
                raise DemoFailed(f"{script.name}: {error}") from error
            self._played()


async def _call(create: Any, body: Json, headers: dict[str, str]) -> None:
    answer = await create(**body, extra_headers=headers)
    if body.get("stream"):
        async for _ in answer:
            pass
