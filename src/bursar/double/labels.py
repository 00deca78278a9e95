"""Items whose right answers are known, so that a classification can be judged.

A label is one JSON object: `{"id", "text", "answer"}`. It answers a request whose last user message is that
text, by the answer alone; and one whose last user message is `{"items": {"1": {"id", …}, …}}`, all of them at
once, by `{"1": answer, …}`. Some items can be answered wrongly on purpose, as models do.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import orjson

from bursar.domain.prompt import digest
from bursar.double.draws import Draw
from bursar.double.faces import Ask
from bursar.double.shapes import Json, JsonObject
from bursar.double.speech import Speech
from bursar.errors import BadRequest

_FAULTS = ("missing", "duplicated", "malformed", "renamed")


class LabelBook:
    """Labels by id and by text.

    Args:
        fault_rate: Share of the items of a common request that are left out, answered twice, answered with
            something else than was asked for, or answered under another id. Items alone are answered well.
    """

    def __init__(self, fault_rate: float = 0.0) -> None:
        self._fault_rate = fault_rate
        self._by_id: dict[str, Json] = {}
        self._by_text: dict[bytes, Json] = {}

    def add(self, label: Mapping[str, Any]) -> None:
        """Take a label in.

        Raises:
            BadRequest: It lacks its id, its text or its answer.
        """
        name, text = label.get("id"), label.get("text")
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise BadRequest("a label has an id, a text or a whole number", place="id")
        if not isinstance(text, str):
            raise BadRequest("a label has a text", place="text")
        if "answer" not in label:
            raise BadRequest("a label has an answer, any JSON value", place="answer")
        self._by_id[str(name)] = label["answer"]
        self._by_text[_name(text)] = label["answer"]

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, ask: Ask, draw: Draw) -> Speech | None:
        """Return the answer that a request is due; None where it asks about nothing that is known.

        Args:
            ask: The request.
            draw: Decides which items are answered wrongly.
        """
        if not self._by_id:
            return None
        text = ask.last_user_text.strip()
        if (name := _name(text)) in self._by_text:
            answer = self._by_text[name]
            return Speech(answer if isinstance(answer, str) else orjson.dumps(answer).decode())
        items = _items(text)
        if not any(str(item.get("id")) in self._by_id for item in items.values()):
            return None
        members = [
            f"{orjson.dumps(key).decode()}:{orjson.dumps(answer).decode()}"
            for number, item in items.items()
            for key, answer in self._answers(number, item, draw, alone=len(items) == 1)
        ]
        return Speech("{" + ",".join(members) + "}")

    def _answers(
        self, number: str, item: JsonObject, draw: Draw, *, alone: bool
    ) -> Iterator[tuple[str, Json]]:
        name = str(item.get("id"))
        if name not in self._by_id:
            return
        right = self._by_id[name]
        if alone or not draw.happens(f"item {name}", self._fault_rate):
            yield number, right
            return
        match _FAULTS[draw.below(f"item {name} fault", len(_FAULTS))]:
            case "duplicated":
                yield number, right
                yield number, right
            case "malformed":
                yield number, [right]
            case "renamed":
                yield f"{number}-again", right
            case _:
                return


def _items(text: str) -> dict[str, JsonObject]:
    """Return the items that a message holds, by their numbers; none where it is of another form."""
    if not text.startswith("{"):
        return {}
    try:
        found: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    items: Json = cast("JsonObject", found).get("items") if isinstance(found, dict) else None
    if not isinstance(items, dict):
        return {}
    numbered = cast("JsonObject", items).items()
    return {number: cast("JsonObject", item) for number, item in numbered if isinstance(item, dict)}


def _name(text: str) -> bytes:
    return digest(text.strip().encode("utf-8", "surrogatepass"))
