"""Recorded calls to look at: an agent with a long policy, tools and a client that marks as it should."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.adapters.price_data import load_price_book
from bursar.domain.price_book import Listing
from bursar.double.speech import Counted, Ending, Speech
from bursar.replay.calls import RecordedCall
from bursar.replay.diagnosis.sent import Books
from bursar.replay.diagnosis.traffic import TrafficDoctor

T0_S = 1_795_168_800.0
MARK = {"cache_control": {"type": "ephemeral"}}
POLICY = " ".join(
    f"Rule {n}: answer case {n} by paragraph {7 * n % 31}, never by another." for n in range(150)
)
TOOLS: list[dict[str, Any]] = [
    {
        "name": f"tool_{n:02d}",
        "description": f"Does thing {n} for the customer, carefully and to the end. " * 3,
        "input_schema": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}},
    }
    for n in range(8)
]

Body = dict[str, Any]
Change = Callable[[Body, int, random.Random], None]
Placed = Callable[[int, int], float]


class FourthsOfCharacters:
    """Counts a token for every four characters, which is near enough and quick."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [-(-len(text) // 4) for text in texts]


def books() -> Books:
    """Return what is known of models."""
    no_prices: tuple[Listing, ...] = ()
    return Books(load_price_book(no_prices), load_cache_rules(), load_token_ratios())


def doctor() -> TrafficDoctor:
    """Return a doctor who counts quickly."""
    return TrafficDoctor(books(), FourthsOfCharacters())


def at_20_s(conversation: int, turn: int) -> float:
    """Return when a call comes: conversations a little after one another, calls 20 s apart."""
    return T0_S + conversation * 110 + turn * 20


def talks(
    change: Change | None = None,
    *,
    marked: bool = True,
    conversations: int = 3,
    turns: int = 5,
    at_s: Placed = at_20_s,
    duration_s: float = 1.0,
    model: str = "claude-sonnet-4-6",
) -> Iterator[RecordedCall]:
    """Yield the calls of some conversations.

    Args:
        change: What the client does to each request before it is sent.
        marked: Whether it marks system and last message.
        conversations: How many.
        turns: Calls of each.
        at_s: When each is made.
        duration_s: How long an answer takes.
        model: Whom it asks.
    """
    draws = random.Random(7)  # noqa: S311 - it shuffles tools
    number = 0
    for conversation in range(conversations):
        history: list[Body] = []
        for turn in range(turns):
            number += 1
            history.append(_message("user", f"Question {conversation}-{turn}. " + _filler(number, 60)))
            body: Body = {
                "model": model,
                "max_tokens": 500,
                "tools": json.loads(json.dumps(TOOLS)),
                "system": [{"type": "text", "text": POLICY}],
                "messages": json.loads(json.dumps(history)),
            }
            if change is not None:
                change(body, number, draws)
            if marked:
                body["system"][-1].update(MARK)
                body["messages"][-1]["content"][-1].update(MARK)
            answer = f"Answer {conversation}-{turn}. " + _filler(number + 500, 80)
            history.append(_message("assistant", answer))
            yield RecordedCall(
                place=f"log:{number}",
                at_s=at_s(conversation, turn),
                made_up=False,
                duration_s=duration_s,
                dialect="anthropic.messages",
                labels={"tenant": "acme", "agent": "desk", "conversation": f"c-{conversation}"},
                body=json.dumps(body).encode(),
                speech=Speech(answer, (), Ending.DONE, counted=Counted(90)),
            )


def _message(role: str, text: str) -> Body:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _filler(seed: int, words: int) -> str:
    return " ".join(f"word{(seed * 97 + n * 31) % 997}" for n in range(words))


def clock_in_front(body: Body, number: int, _: random.Random) -> None:
    """Tell the time at the front of the system prompt."""
    body["system"][0]["text"] = f"Now it is 2026-11-20T10:{number:02d}:00Z.\n" + POLICY


def clock_behind(body: Body, number: int, _: random.Random) -> None:
    """Tell the time behind everything else, and behind the mark: the mended client."""
    content = body["messages"][-1]["content"]
    content[-1].update(MARK)
    content.append({"type": "text", "text": f"Now it is 2026-11-20T10:{number:02d}:00Z.\n"})


def shuffled_tools(body: Body, _: int, draws: random.Random) -> None:
    """Send the tools in any order."""
    draws.shuffle(body["tools"])


def shuffled_keys(body: Body, _: int, draws: random.Random) -> None:
    """Write the keys of the tools in any order."""
    for number, tool in enumerate(body["tools"]):
        keys = list(tool)
        draws.shuffle(keys)
        body["tools"][number] = {key: tool[key] for key in keys}
