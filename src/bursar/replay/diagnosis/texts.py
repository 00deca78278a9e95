"""A request's texts by place, decoded when one is asked for."""

from typing import Any, cast

import orjson

from bursar.domain.prompt import Place, Section

_ANTHROPIC = "anthropic.messages"
_MARK_FIELDS = frozenset({"cache_control", "prompt_cache_breakpoint"})


class RequestTexts:
    """Fills `view.prompt_differences.Texts`.

    Args:
        dialect: The request's dialect.
        body: Its body, which the dialect has read; None where it is no longer kept.
        system_pieces: Pieces of its prompt's system part, which OpenAI's requests have among the messages.
    """

    def __init__(self, dialect: str, body: bytes | None, system_pieces: int) -> None:
        self._body = body
        self._first_message = 0 if dialect == _ANTHROPIC else system_pieces
        self._system_field = "system" if dialect == _ANTHROPIC else "messages"
        self._decoded: dict[str, Any] | None = None

    def text(self, place: Place) -> str:
        """Return a block's text."""
        if place.section is Section.TOOLS:
            return _text(self._piece("tools", place.piece))
        if place.section is Section.SYSTEM:
            piece = self._piece(self._system_field, place.piece)
        else:
            piece = self._piece("messages", place.piece + self._first_message)
        return _text(_block(piece, place.block))

    def tool_name(self, tool: int) -> str:
        """Return a tool's name."""
        members = _members(self._piece("tools", tool))
        # OpenAI's stand inside of a `function`.
        name = (_members(members.get("function")) or members).get("name")
        return name if isinstance(name, str) else ""

    def _piece(self, field: str, number: int) -> Any:
        if self._body is None:
            return None
        if self._decoded is None:
            self._decoded = _decode(self._body)
        pieces: Any = self._decoded.get(field)
        if isinstance(pieces, str):
            return pieces
        if not isinstance(pieces, list) or number >= len(cast("list[Any]", pieces)):
            return None
        return cast("list[Any]", pieces)[number]


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", orjson.loads(body))
    except orjson.JSONDecodeError:
        # A dialect reads a few bodies that are no strict JSON; their texts are missing, that is all.
        return {}


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _block(piece: Any, number: int) -> Any:
    """Return a block of a message or of a system prompt."""
    if not isinstance(piece, dict):
        return piece
    members = cast("dict[str, Any]", piece)
    content: Any = members.get("content")
    if content is None and "text" in members:
        return members
    if members.get("role") == "tool":
        return content
    blocks: list[Any] = (
        cast("list[Any]", content) if isinstance(content, list) else [content] if content else []
    )
    # At OpenAI an assistant's tool calls come behind its content.
    calls: Any = members.get("tool_calls")
    if isinstance(calls, list):
        blocks = [*blocks, *cast("list[Any]", calls)]
    return blocks[number] if number < len(blocks) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        for name in ("text", "content"):
            if isinstance(members.get(name), str):
                return members[name]
        value = {name: member for name, member in members.items() if name not in _MARK_FIELDS}
    return orjson.dumps(value).decode()
