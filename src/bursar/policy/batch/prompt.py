"""The request for several items, in text: instructions that stay the same, and the items of one call."""

from collections.abc import Sequence

import msgspec
import orjson

from bursar.domain.json_schema import JsonSchema
from bursar.domain.prompt import digest
from bursar.policy.batch.items import Item

_FORM = """

You get a JSON object whose "items" are numbered and independent: judge each as if it were alone.
Reply with one JSON object and nothing else, without spaces or line breaks between its parts. It has exactly \
one member for each item, in their order: its name is the item's number, its value the answer. For two \
items: {"1":…,"2":…}. Every answer is as this JSON schema says:
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
    """Return the user's message for some items, with a note where they were asked before.

    Items are answered by number: numbers are the shortest names, and output is what costs most. A name of 36
    characters would take more tokens than many an answer.
    """
    said = "" if not note else f',"note":{orjson.dumps(note).decode()}'
    numbered = [f'"{number}":{item.text}' for number, item in enumerate(items, start=1)]
    return '{"items":{' + ",\n".join(numbered) + f"}}{said}}}"
