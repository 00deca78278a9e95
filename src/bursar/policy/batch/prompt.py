"""The request for several items, in text: instructions that stay the same, and the items of one call."""

from collections.abc import Sequence

import msgspec
import orjson

from bursar.domain.json_schema import JsonSchema
from bursar.domain.prompt import digest
from bursar.policy.batch.items import Item

ITEMS, ANSWERS, ID, ANSWER = "items", "answers", "id", "answer"

_FORM = """

You get a JSON object whose "items" are independent of each other: judge each as if it were alone.
Reply with one JSON object and nothing else: {"answers": [{"id": …, "answer": …}]}, with exactly one answer \
for each item, under that item's id, in the items' order. Every answer is as this JSON schema says:
"""

# The wording is part of what was asked: who changes it starts anew instead of resuming.
_WORDING_VERSION = 1


class Assignment(msgspec.Struct, frozen=True):
    """What is to be done with every item.

    Attributes:
        instruction: In the caller's words.
        schema: What each item's answer must be.
        model: The model that is asked.
        dialect: The API that it is asked by.
        marked: Whether the instructions are to be kept in the provider's cache.
    """

    instruction: str
    schema: JsonSchema
    model: str
    dialect: str
    marked: bool = False

    @property
    def instructions(self) -> str:
        """The system text, the same for every call."""
        return self.instruction.rstrip() + _FORM + orjson.dumps(self.schema.schema).decode()

    def fingerprint(self, items: Sequence[Item]) -> str:
        """Name this assignment with these items: equal ones are the same work, wherever they are asked."""
        parts = [str(_WORDING_VERSION), self.model, self.dialect, self.instructions]
        return digest("\0".join([*parts, *[item.text for item in items]]).encode()).hex()


def items_text(items: Sequence[Item], note: str = "") -> str:
    """Return the user's message for some items, with a note where they were asked before."""
    said = "" if not note else f',"note":{orjson.dumps(note).decode()}'
    return '{"items":[' + ",\n".join([item.text for item in items]) + f"]{said}}}"
