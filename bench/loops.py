"""Loops put into recorded conversations, and healthy ones beside them: which are stopped, and how soon.

    python -m bench.loops [--data DIR] [--conversations N] [--seed N]

Each call of a conversation is read and judged as the engine does it, in either dialect in turn; nothing is
sent. A loop is put in behind an exchange with a tool and goes on until the conversation is stopped. One
repeat is the whole row of calls once more.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.healthy_patterns import PATTERNS
from bench.player import read_conversations
from bursar.domain.attribution import Attribution
from bursar.exchange.arrival import Arrival
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.loops import LOOP, judge_call
from bursar.replay.transcripts import Asking, Conversation
from bursar.settings import Settings
from bursar.wire.dialects import DIALECTS
from bursar.wiring.engine import build_engine

Message = Mapping[str, Any]
Exchange = tuple[Message, Message]
"""A tool call, and its result."""

_MODELS = ("claude-sonnet-4-6", "gpt-4o")
_REPEATS = 6
_STOPPED_MIN = 0.99
_REPEATS_MAX = 3


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one conversation.

    Attributes:
        messages: How many messages the call had that was refused; None where none was.
        warnings: Calls that were warned.
        seconds: What judging took,
        calls: of so many calls.
    """

    messages: int | None
    warnings: int
    seconds: float
    calls: int


def play(engine: Engine, name: str, messages: Sequence[Message], model: str) -> Fate:
    """Judge each call of a conversation, in order, until one is refused."""
    warnings, calls, seconds = 0, 0, 0.0
    asking = Asking(model)
    dialect = DIALECTS[asking.dialect]
    conversation = Conversation("bench", {}, messages, [None] * len(messages))
    for exchanged, body in asking.bodies(conversation):
        reading = dialect.read(body, engine.memo)
        request = reading.finish([0] * len(reading.texts))
        attribution = Attribution(tenant="bench", conversation=name)
        operation_id, at_s = f"{name}-{calls}", float(calls)
        place = engine.threads.join(
            attribution, request.prompt.messages, operation_id=operation_id, at_s=at_s
        )
        arrival = Arrival(operation_id, at_s, dialect.name, "", "", {}, {}, body, b"")
        policy = engine.options.policies.default
        call = Call(arrival, dialect, request, attribution, "optimise", policy, None, place, body)
        began = time.perf_counter()
        verdict = judge_call(engine, call)
        seconds += time.perf_counter() - began
        calls += 1
        warnings += LOOP in verdict.faults
        if verdict.refusal is not None:
            return Fate(len(exchanged.asked), warnings, seconds, calls)
    return Fate(None, warnings, seconds, calls)


def exchanges(messages: Sequence[Message]) -> list[tuple[int, Exchange]]:
    """Return the exchanges of a conversation with where each ends."""
    return [
        (place + 2, (messages[place], messages[place + 1]))
        for place in range(len(messages) - 1)
        if messages[place].get("tool_calls") and messages[place + 1]["role"] == "tool"
    ]


def again(exchange: Exchange, number: int, change: Callable[[dict[str, Any], int], None]) -> list[Message]:
    """Return an exchange once more, under another id and with a change."""
    asked, answered = (json.loads(json.dumps(message)) for message in exchange)
    asked["tool_calls"] = asked["tool_calls"][:1]
    asked["tool_calls"][0]["id"] = answered["tool_call_id"] = f"call_again_{number}"
    change(asked["tool_calls"][0]["function"], number)
    return [asked, answered]


def unchanged(_: dict[str, Any], __: int) -> None:
    """Leave a call as it is."""


def shuffled(function: dict[str, Any], number: int) -> None:
    """Put the keys of a call's arguments in another order, and space them out."""
    members = list(json.loads(function["arguments"]).items())
    random.Random(number).shuffle(members)  # noqa: S311 - load, not a secret
    function["arguments"] = json.dumps(dict(members), indent=number % 3)


def failing(exchange: Exchange, number: int) -> list[Message]:
    """Return a call that fails each time, under a new request id and at another time."""
    asked, answered = again(exchange, number, unchanged)
    text = f"Error: upstream timed out at 2026-11-24T12:{number:02}:07Z (request req_{number * 7919:08x})"
    return [asked, {**answered, "content": text}]


def looped(kind: str, found: Sequence[Exchange]) -> Iterator[list[Message]]:
    """Yield one row of a loop after another: the first is no repeat."""
    number = 0
    while True:
        row: list[Message] = []
        for exchange in found:
            number += 1
            if kind == "failing tool":
                row += failing(exchange, number)
            else:
                row += again(exchange, number, shuffled if kind == "shuffled keys" else unchanged)
        yield row


_KINDS = {"same call": 1, "cycle of 2": 2, "cycle of 3": 3, "failing tool": 1, "shuffled keys": 1}


def inject(
    kind: str, messages: Sequence[Message], draw: random.Random
) -> tuple[list[Message], int, int] | None:
    """Put a loop into a conversation.

    Returns:
        The messages, where the loop begins, and how many messages a row of it has; None where the
        conversation has too few exchanges.
    """
    found = exchanges(messages)
    distinct = {json.dumps(each["tool_calls"][0]["function"]): (each, result) for _, (each, result) in found}
    if len(distinct) < _KINDS[kind]:
        return None
    end, _ = draw.choice(found)
    rows = looped(kind, draw.sample(list(distinct.values()), _KINDS[kind]))
    body = [message for _, row in zip(range(1 + _REPEATS), rows, strict=False) for message in row]
    asking: Message = {"role": "assistant", "content": "Done."}
    return [*messages[:end], *body, asking], end, 2 * _KINDS[kind]


def show_loops(conversations: Sequence[Conversation], count: int, seed: int) -> bool:
    """Print how loops fare; returns whether they fare as they must."""
    draw = random.Random(seed)  # noqa: S311 - load, not a secret
    right = True
    print(f"{'loop':16}{'conversations':>14}{'stopped in 3':>14}{'warned before':>15}{'repeats':>24}")
    for kind in _KINDS:
        engine, tally, warned, done = build_engine(Settings()), Counter[int | None](), 0, 0
        while done < count // len(_KINDS):
            made = inject(kind, draw.choice(conversations).messages, draw)
            if made is None:
                continue
            messages, start, row = made
            fate = play(engine, f"{kind}-{done}", messages, _MODELS[done % 2])
            done += 1
            warned += fate.warnings > 0
            tally[None if fate.messages is None else (fate.messages - start) // row - 1] += 1
        stopped = sum(n for repeats, n in tally.items() if repeats is not None and repeats <= _REPEATS_MAX)
        right = right and stopped >= _STOPPED_MIN * done
        spread = ", ".join(f"{repeats}: {n}" for repeats, n in sorted(tally.items(), key=str))
        print(f"{kind:16}{done:14}{stopped / done:14.1%}{warned / done:15.1%}{spread:>24}")
    return right


def show_healthy(name: str, conversations: Sequence[tuple[str, Sequence[Message]]]) -> bool:
    """Print how healthy conversations fare; returns whether none was stopped."""
    stopped = warned = calls = 0
    seconds = 0.0
    for model in _MODELS:
        engine = build_engine(Settings())
        for conversation, messages in conversations:
            fate = play(engine, conversation, messages, model)
            stopped += fate.messages is not None
            warned += fate.warnings > 0
            calls += fate.calls
            seconds += fate.seconds
    each_us = seconds / max(calls, 1) * 1e6
    print(f"{name:30}{2 * len(conversations):14}{calls:8}{stopped:9}{warned:8}{each_us:12.1f}")
    return not stopped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--conversations", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    traces = {name: read_conversations(asked.data / f"{name}.jsonl") for name in _TRACES}
    right = show_loops(traces["airline"], asked.conversations, asked.seed)
    print(f"\n{'healthy':30}{'conversations':>14}{'calls':>8}{'stopped':>9}{'warned':>8}{'us a call':>12}")
    for name, found in traces.items():
        played = [(one.labels["conversation"], _messages_of(one)) for one in found]
        right = show_healthy(name, played) and right
    for name, pattern in PATTERNS.items():
        draw = random.Random(asked.seed)  # noqa: S311 - load, not a secret
        right = show_healthy(name, [(f"{name}-{n}", pattern(draw)) for n in range(20)]) and right
    return int(not right)


_TRACES = ("airline", "software-engineer", "research-team")


def _messages_of(conversation: Conversation) -> Sequence[Message]:
    """Return a conversation's messages; lone calls become one after another."""
    if conversation.messages:
        return conversation.messages
    messages: list[Message] = []
    for exchanged in conversation.lone:
        messages += [*exchanged.asked, {"role": "assistant", "content": "Noted."}]
    return messages


if __name__ == "__main__":
    sys.exit(main())
