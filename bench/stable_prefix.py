"""Agents whose prompts differ in front: the bill as sent, with Bursar, and with the front made stable.

    python -m bench.stable_prefix [--conversations N] [--turns N]

A clock, an id, tools in ever another order, and keys in ever another order stand before 3,000 tokens of
instructions that never change, on a model of each kind of cache; conversations come one after another, calls
20 s apart. A careful client marks its system prompt and its last message itself. The provider double bills.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from bench.conversations import text
from bursar.domain.report import Tally, report_of
from bursar.double.speech import Counted, Ending, Speech
from bursar.replay.calls import RecordedCall
from bursar.settings import Settings, parse
from bursar.wiring.replay import build_replay

MODELS = ("claude-sonnet-4-6", "gpt-4o", "gpt-5.6-sol")
FRONTS = ("nothing", "clock", "id", "tools", "keys", "all")
_START_S, _GAP_S = 1_790_000_000.0, 20.0
_INSTRUCTIONS_CHARS = 17_000
_MOST = 1.001
_MARK = {"cache_control": {"type": "ephemeral"}}


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent.

    Attributes:
        model: Its model.
        varies: What differs in front of its prompts.
        marked: Whether its client sets cache marks itself.
    """

    model: str
    varies: str
    marked: bool = False

    @property
    def speaks_openai(self) -> bool:
        """Whether it speaks OpenAI's dialect."""
        return self.model.startswith("gpt")

    def calls(self, conversations: int, turns: int) -> Iterator[RecordedCall]:
        """Yield its calls in order of time."""
        draw = random.Random(self.varies)  # noqa: S311 - test text, not a secret
        rules = "\n".join(text(draw, 100).capitalize() + "." for _ in range(_INSTRUCTIONS_CHARS // 100))
        for conversation in range(conversations):
            talk: list[dict[str, Any]] = [{"role": "user", "content": f"{text(draw, 120)}?"}]
            for turn in range(turns):
                number = conversation * turns + turn
                body = self._body(draw, (conversation, number), rules, talk)
                yield RecordedCall(
                    place=f"call {number}",
                    at_s=_START_S + number * _GAP_S,
                    made_up=True,
                    duration_s=2.0,
                    dialect="openai.chat" if self.speaks_openai else "anthropic.messages",
                    labels={"agent": "support", "conversation": str(conversation)},
                    body=json.dumps(body).encode(),
                    speech=Speech("As you wish.", ending=Ending.DONE, counted=Counted(120)),
                )
                talk += self._step(draw, f"t{number}")

    def _body(
        self, draw: random.Random, numbers: tuple[int, int], rules: str, talk: list[dict[str, Any]]
    ) -> dict[str, Any]:
        system = f"You help travellers.\n{self._line(*numbers)}{rules}"
        tools = [self._tool(name) for name in ("book", "cancel", "find", "refund", "upgrade")]
        if self.varies in {"tools", "all"}:
            draw.shuffle(tools)
        if self.varies in {"keys", "all"}:
            tools = [_shuffled(tool, draw) for tool in tools]
        body: dict[str, Any] = {"model": self.model, "tools": tools}
        if self.speaks_openai:
            return {**body, "messages": [{"role": "system", "content": system}, *talk]}
        if self.marked:
            last = talk[-1]["content"]
            blocks = [{"type": "text", "text": last}] if isinstance(last, str) else last
            talk = [*talk[:-1], {**talk[-1], "content": [*blocks[:-1], {**blocks[-1], **_MARK}]}]
            return {
                **body,
                "max_tokens": 900,
                "system": [{"type": "text", "text": system, **_MARK}],
                "messages": talk,
            }
        return {**body, "max_tokens": 900, "system": system, "messages": talk}

    def _line(self, conversation: int, number: int) -> str:
        clock = f"Now it is 2026-11-24 {8 + number // 60:02}:{number % 60:02}.\n"
        session = f"Session: 7f3a{conversation:04}-9c2e\n"
        return {"clock": clock, "id": session, "all": clock + session}.get(self.varies, "")

    def _tool(self, name: str) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {
                "reservation": {"type": "string", "description": "Its six letters and digits."},
                "reason": {"type": "string", "enum": ["wish", "weather", "illness"]},
            },
            "required": ["reservation", "reason"],
        }
        description = f"Use {name} once the passenger has confirmed what is to be done, and never before."
        if not self.speaks_openai:
            return {"name": name, "description": description, "input_schema": schema}
        return {
            "type": "function",
            "function": {"name": name, "description": description, "parameters": schema},
        }

    def _step(self, draw: random.Random, identity: str) -> list[dict[str, Any]]:
        """Return a tool's call and its result."""
        found = text(draw, 900)
        if not self.speaks_openai:
            use = {"type": "tool_use", "id": identity, "name": "find", "input": {"reservation": identity}}
            result = {"type": "tool_result", "tool_use_id": identity, "content": found}
            return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        function = {"name": "find", "arguments": json.dumps({"reservation": identity})}
        asked = {"id": identity, "type": "function", "function": function}
        return [
            {"role": "assistant", "content": None, "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": identity, "content": found},
        ]


def _shuffled(value: Any, draw: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    members = list(cast("dict[str, Any]", value).items())
    draw.shuffle(members)
    return {name: _shuffled(inner, draw) for name, inner in members}


def played(agent: Agent, settings: Settings, size: tuple[int, int]) -> Tally:
    """Play an agent's calls; return what its ledger holds."""
    runner, _ = build_replay(settings, bounded=False)
    total = report_of(runner.play(agent.calls(*size)), ()).total
    if runner.run.refused_calls:
        sys.exit(f"{agent}: refused {runner.run.refused}")
    return total


def main() -> None:
    """Play every agent without and with the setting, and print the bills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10)
    parser.add_argument("--turns", type=int, default=6)
    options = parser.parse_args()
    size = options.conversations, options.turns
    stable = parse({"defaults": {"stable_prefix": {"order": True, "volatile": True}}}, "bench")
    print(f"{'model':18} {'client':8} {'varies':8} {'as sent':>9} {'without':>9} {'with':>9} {'ratio':>6}")
    worst = 0.0
    for model in MODELS:
        for marked in (False,) if model.startswith("gpt") else (False, True):
            for varies in FRONTS:
                agent = Agent(model, varies, marked)
                without, stabilised = played(agent, Settings(), size), played(agent, stable, size)
                ratio = stabilised.cost_nusd / without.cost_nusd
                worst = max(worst, ratio)
                print(
                    f"{model:18} {'careful' if marked else 'unmarked':8} {varies:8} "
                    f"{without.baseline_nusd / 1e9:9.4f} {without.cost_nusd / 1e9:9.4f} "
                    f"{stabilised.cost_nusd / 1e9:9.4f} {ratio:6.3f}",
                    flush=True,
                )
    print(f"\nMust be at most {_MOST}; the worst is {worst:.3f}.")
    sys.exit(worst > _MOST)


if __name__ == "__main__":
    main()
