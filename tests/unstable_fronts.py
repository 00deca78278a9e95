"""An agent whose prompts differ in front from call to call, and a scene with the double as its provider."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, cast

from bursar.domain.ledger import Entry
from bursar.policy.agent import AgentPolicy, PolicyBook, StablePrefixPolicy
from bursar.wire.dialect import Dialect
from double_upstream import DoubleUpstream
from provider_answers import message
from scripted_world import Scene, check_sums, whole
from wire_bodies import ANTHROPIC

# About 3,000 tokens as the scene counts them.
RULES = "".join([f"Rule {number}: whoever travels keeps it, whatever happens.\n" for number in range(190)])
OPENING = "You help travellers.\n"

MODELS = {"anthropic.messages": "claude-sonnet-4-6", "openai.chat": "gpt-4o"}
NAMES = ("book", "cancel", "find", "refund")

# Given the numbers of a conversation and of a call in it, returns a line, newline included.
Varying = Callable[[int, int], str]


def clock(conversation: int, turn: int) -> str:
    return f"Now it is 2026-11-24 {8 + conversation:02}:{turn:02}:07.\n"


def session(conversation: int, turn: int) -> str:
    del turn
    return f"Session: 5e3f{conversation:04}-ab\n"


def none(conversation: int, turn: int) -> str:
    del conversation, turn
    return ""


def _tool(dialect: Dialect, name: str, shuffled: random.Random | None) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"page": {"type": "integer"}, "order": {"enum": ["b", "a"]}},
        "required": ["page", "order"],
    }
    description = f"Use {name} where somebody wants to {name} a ticket, and never otherwise."
    if dialect is ANTHROPIC:
        tool: dict[str, Any] = {"name": name, "description": description, "input_schema": schema}
        return _shuffle(tool, shuffled)
    function = {"name": name, "description": description, "parameters": schema}
    return _shuffle({"type": "function", "function": function}, shuffled)


def _shuffle(value: Any, shuffled: random.Random | None) -> Any:
    if shuffled is None or not isinstance(value, dict):
        return value
    members = list(cast("dict[str, Any]", value).items())
    shuffled.shuffle(members)
    return {name: _shuffle(inner, shuffled) for name, inner in members}


def tools(dialect: Dialect, shuffled: random.Random | None = None) -> list[dict[str, Any]]:
    """The agent's tools; shuffled, and their keys too, where a source of that is given."""
    made = [_tool(dialect, name, shuffled) for name in NAMES]
    if shuffled is not None:
        shuffled.shuffle(made)
    return made


def call(
    dialect: Dialect,
    conversation: int,
    turn: int,
    line: Varying = clock,
    shuffled: random.Random | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One call of a conversation, in which each turn looks at one more page."""
    system = OPENING + line(conversation, turn) + RULES
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Passenger {conversation}: may I?"}]
    for number in range(turn):
        found = f"Page {number} for passenger {conversation}: " + "nothing is said of bicycles here. " * 20
        identity = f"t{conversation}x{number}"
        if dialect is ANTHROPIC:
            use = {"type": "tool_use", "id": identity, "name": "find", "input": {"page": number}}
            result = {"type": "tool_result", "tool_use_id": identity, "content": found}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        else:
            function = {"name": "find", "arguments": json.dumps({"page": number})}
            asked = {"id": identity, "type": "function", "function": function}
            messages += [
                {"role": "assistant", "content": None, "tool_calls": [asked]},
                {"role": "tool", "tool_call_id": identity, "content": found},
            ]
    body: dict[str, Any] = {"model": MODELS[dialect.name], "tools": tools(dialect, shuffled)}
    if dialect is ANTHROPIC:
        body |= {"max_tokens": 100, "system": system, "messages": messages}
    else:
        body["messages"] = [{"role": "system", "content": system}, *messages]
    return {**body, **fields}


def calls(
    dialect: Dialect,
    conversations: int,
    turns: int,
    line: Varying = clock,
    shuffled: random.Random | None = None,
    **fields: Any,
) -> list[dict[str, Any]]:
    """All calls of some conversations, one after another."""
    return [
        call(dialect, conversation, turn, line, shuffled, **fields)
        for conversation in range(conversations)
        for turn in range(turns)
    ]


class SteadyScene(Scene):
    """A scene with the double as its provider.

    Args:
        stable: What is set.
        options: See `Scene`.
    """

    def __init__(self, *, order: bool = True, volatile: bool = True, **options: Any) -> None:
        stable = StablePrefixPolicy(split=False, order=order, volatile=volatile)
        policies = options.pop("policies", PolicyBook(AgentPolicy(stable_prefix=stable)))
        super().__init__(whole(message()), policies=policies, **options)
        self.provider = DoubleUpstream(self)
        object.__setattr__(self.world, "upstream", self.provider)

    async def play_all(self, bodies: Sequence[dict[str, Any]], gap_s: float = 20.0, **headers: str) -> int:
        """Play calls one after another; return what they cost together, in nusd."""
        before = len(self.provider.costs_nusd)
        for body in bodies:
            self.clock.time_s += gap_s
            reply = await self.play(body, {name.replace("_", "-"): value for name, value in headers.items()})
            assert reply.status == 200, reply.body
        assert self.provider.refused == []
        for entry in self.entries:
            check_sums(entry)
            assert entry.faults == ()
        assert [entry.cost_nusd for entry in self.entries] == self.provider.costs_nusd
        return sum(self.provider.costs_nusd[before:])

    @property
    def entries(self) -> list[Entry]:
        return self.ledger.entries

    def sent(self, number: int = -1) -> dict[str, Any]:
        """Return a request that was sent."""
        return json.loads(self.provider.bodies[number])
