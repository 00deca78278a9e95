"""A small batch: a few tickets, their labels, and what a model says about them."""

import json
from collections.abc import Sequence

import orjson

from bursar.domain.json_schema import read_schema
from bursar.policy.batch.items import Item, read_items
from bursar.policy.batch.prompt import Assignment
from bursar.policy.batch.sizing import SizeLimits, Sizing
from bursar.policy.batch.work import Work

TOPICS = ("billing", "shipping", "other")
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"enum": list(TOPICS)}},
    "required": ["topic"],
    "additionalProperties": False,
}
INSTRUCTION = "Sort each support ticket by topic."


def tickets(count: int) -> list[Item]:
    lines = [orjson.dumps({"id": f"t{n}", "text": f"Ticket {n}"}) for n in range(count)]
    return read_items(lines, "tickets.jsonl")


def label(number: int) -> dict[str, str]:
    return {"topic": TOPICS[number % len(TOPICS)]}


def labels(count: int) -> list[dict[str, object]]:
    return [{"id": f"t{n}", "text": f"Ticket {n}", "answer": label(n)} for n in range(count)]


def said(*rows: tuple[int | str, object]) -> str:
    """What a model says: answers by number."""
    return "{" + ", ".join(f'"{number}": {json.dumps(answer)}' for number, answer in rows) + "}"


def assignment(model: str = "claude-haiku-4-5", dialect: str = "anthropic.messages") -> Assignment:
    return Assignment(INSTRUCTION, read_schema(SCHEMA), model, dialect)


def sizing(fixed: int | None = None, output_tokens_max: int = 64_000) -> Sizing:
    return Sizing(SizeLimits(fixed, output_tokens_max, 100_000))


def work(items: Sequence[Item], fixed: int | None = None) -> Work:
    return Work(items, sizing(fixed))
