"""A scene in which histories are rewritten: the double judges and bills, summaries come as a test says."""

import json
from collections.abc import Sequence
from typing import Any, cast

from bursar.adapters.content.memory import MemoryContent
from bursar.adapters.model_limits import load_model_limits, load_windows
from bursar.domain.windows import Window, WindowBook
from bursar.double.models import ModelCatalogue, ModelLimits
from bursar.exchange.summarising import is_for_summary
from bursar.policy.agent import AgentPolicy, PolicyBook, ToolResultPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.loops import LoopOptions
from bursar.ports import UpstreamRequest
from bursar.wire.dialect import Dialect
from double_upstream import DoubleUpstream
from history_conversations import Call, Step, Turn, judge, messages_of
from provider_answers import completion, message
from scripted_world import Answer, Scene, ScriptedResponse, ScriptedUpstream, whole
from wire_bodies import ANTHROPIC

SUMMARY = "They looked at pages; nothing was decided."
SUMMARISERS = {"anthropic.messages": "claude-haiku-4-5", "openai.chat": "gpt-4o-mini"}
MODELS = {"anthropic.messages": "claude-sonnet-4-6", "openai.chat": "gpt-4o"}


def summary_answer(dialect: Dialect, text: str = SUMMARY, **changes: Any) -> Answer:
    """An answer to a request for a summary."""
    if dialect is ANTHROPIC:
        return whole({**message(text=text, model="claude-haiku-4-5"), **changes})
    return whole({**completion(text=text), **changes})


class HistoryUpstream(DoubleUpstream):
    """The double on the scene's clock; requests for summaries are answered as scripted.

    Args:
        scene: The scene.
        summaries: Answers to requests for summaries; the last repeats.
        models: The double's models.
    """

    def __init__(self, scene: Scene, summaries: Sequence[Answer], models: ModelCatalogue) -> None:
        super().__init__(scene, models)
        self._summaries = ScriptedUpstream(*summaries) if summaries else None
        self.asked: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> ScriptedResponse:
        if not is_for_summary(request):
            return await super().send(request)
        assert self._summaries is not None, "no summary was to be asked for"
        self.asked.append(request)
        return await self._summaries.send(request)

    def messages(self, number: int = -1) -> list[Any]:
        """Return the messages of a request that was sent, without cache marks."""
        return without_marks(json.loads(self.bodies[number])["messages"])


class HistoryScene(Scene):
    """A scene with history settings for all agents.

    Args:
        history: The settings.
        summaries: Answers to requests for summaries.
        content: The working content, if another scene's.
        results: What is done to tool results: a mode.
        window_tokens: The window of the models, instead of their own.
        options: See `Scene`.
    """

    def __init__(
        self,
        history: HistoryOptions,
        *summaries: Answer,
        content: MemoryContent | None = None,
        results: str = "lossless",
        window_tokens: int | None = None,
        **options: Any,
    ) -> None:
        policy = AgentPolicy(
            history=history, tool_results=ToolResultPolicy(mode=results), loops=LoopOptions(mode="off")
        )
        super().__init__(whole(message()), policies=PolicyBook(policy), **options)
        models, self.engine.windows = load_model_limits(), load_windows()
        if window_tokens is not None:
            own = [(model, dialect) for dialect, model in MODELS.items()]
            models = ModelCatalogue([ModelLimits(m, d, window_tokens, 4_096) for m, d in own])
            self.engine.windows = WindowBook([Window(m, d, window_tokens, 4_096) for m, d in own])
        self.provider = HistoryUpstream(self, summaries, models)
        self.content = content or MemoryContent(1 << 22)
        object.__setattr__(self.world, "upstream", self.provider)
        object.__setattr__(self.world, "content", self.content)


def page(number: int, words: int = 150) -> str:
    """A result of a tool: text that no other result has."""
    return f"page {number}: " + " ".join(f"w{number}x{n}" for n in range(words))


def talk(dialect: Dialect, results: int, *, words: int = 150, **fields: Any) -> dict[str, Any]:
    """An agent that has looked at so many pages one after another, as a request."""
    steps = tuple(
        Step(f"I look at {n}.", (Call("find", {"page": n}, page(n, words)),)) for n in range(results)
    )
    body = {
        "model": MODELS[dialect.name],
        "max_tokens": 50,
        "messages": messages_of(dialect, [Turn("Find the rule on bicycles.", steps)]),
    }
    if dialect is ANTHROPIC:
        tool: dict[str, Any] = {"name": "find", "input_schema": {"type": "object"}}
        body["system"] = "You help travellers. " * 20
    else:
        tool = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
    return {**body, "tools": [tool], **fields}


def discussion(dialect: Dialect, questions: int, **fields: Any) -> dict[str, Any]:
    """Somebody who has asked so many long questions, as a request: there are no results to mask."""
    texts = ["Find the rule on bicycles.", *[page(n) for n in range(1, questions + 1)]]
    turns = [Turn(text, (Step(f"Answer {n}."),)) for n, text in enumerate(texts[:-1])]
    return {**talk(dialect, 0), "messages": messages_of(dialect, [*turns, Turn(texts[-1])]), **fields}


def without_marks(value: Any) -> Any:
    """Return JSON without cache marks."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: without_marks(inner) for name, inner in members.items() if name != "cache_control"}
    if not isinstance(value, list):
        return value
    return [without_marks(inner) for inner in cast("list[Any]", value)]


def canonical(messages: list[Any]) -> list[Any]:
    """Return messages with text in one form: a mark turns a text into a block."""
    return [{**each, "content": _blocks(each.get("content"))} for each in messages]


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks = cast("list[dict[str, Any]]", content or [])
    return [
        {**block, "content": _blocks(block["content"])} if "content" in block else block for block in blocks
    ]


def check_valid(dialect: Dialect, scene: HistoryScene) -> None:
    """Check that everything that was sent is what the provider takes."""
    assert scene.provider.refused == []
    for number in range(len(scene.provider.bodies)):
        judge(dialect, scene.provider.messages(number))
