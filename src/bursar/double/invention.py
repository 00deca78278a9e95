"""Answers where no transcript has one: plain sentences that depend on the prompt and the seed alone."""

import orjson

from bursar.domain.prompt import digest
from bursar.double.faces import Ask
from bursar.double.json_schemas import example_of
from bursar.double.speech import Ending, Speech, SpokenCall

_SUBJECTS = (
    "The order",
    "Your booking",
    "This case",
    "The second report",
    "That setting",
    "The latest run",
    "Each account",
    "The whole plan",
)
_VERBS = (
    "was checked against",
    "depends on",
    "agrees with",
    "can be changed in",
    "was moved to",
    "is listed under",
    "follows from",
    "still needs",
)
_OBJECTS = (
    "the records of last week",
    "the price that was quoted",
    "a rule in section four",
    "the new address",
    "the first of the two options",
    "what the customer confirmed",
    "the open items",
    "an entry from Monday",
)
_ENDS = (
    "",
    ", as far as I can see",
    ", so nothing else is needed",
    " unless you tell me otherwise",
    " and I have noted it",
)

_SENTENCES_MIN = 3
_SENTENCES_MORE = 6
_SUMMARY_SENTENCES = 2


def invent(ask: Ask, name: bytes, call_id: str) -> Speech:
    """Answer a request, some 30 to 120 tokens long.

    Args:
        ask: The request. A forced tool is called with the simplest arguments its schema allows; where the
            answer must be JSON, it is the simplest value.
        name: 16 bytes that stand for the prompt and the seed.
        call_id: Id of the tool call, if there is one.
    """
    if ask.forced_tool is not None:
        tool, schema = ask.forced_tool
        arguments = orjson.dumps(example_of({"type": "object", **schema})).decode()
        return Speech("", (SpokenCall(call_id, tool, arguments),), Ending.TOOL_CALLS)
    if ask.schema is not None:
        value = example_of(ask.schema) if ask.schema else {"answer": sentences(name, 1)}
        return Speech(orjson.dumps(value).decode())
    return Speech(sentences(name, _SENTENCES_MIN + name[0] % _SENTENCES_MORE))


def summarise_reasoning(name: bytes) -> str:
    """Return what is shown of reasoning."""
    return sentences(digest(name + b"reasoning"), _SUMMARY_SENTENCES)


def sentences(name: bytes, count: int) -> str:
    """Return sentences that depend on a name of 16 bytes."""
    drawn: list[str] = []
    for number in range(count):
        dice = digest(name + bytes((number,)))
        parts = (_SUBJECTS[dice[0] % 8], _VERBS[dice[1] % 8], _OBJECTS[dice[2] % 8])
        drawn.append(" ".join(parts) + _ENDS[dice[3] % len(_ENDS)] + ".")
    return " ".join(drawn)
