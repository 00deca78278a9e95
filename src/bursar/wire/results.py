"""The texts of tool results in a message's raw JSON: read out, and put back in other words.

A result is a string, or parts of which some are text; the other parts (images, documents) stay as they are.
Messages were read before, so that their form is known to be right.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from bursar.wire import anthropic, openai_chat
from bursar.wire import raw_json as raw


class ResultText(msgspec.Struct, frozen=True, gc=False):
    """One text of a tool's result.

    Attributes:
        call_id: Id of the tool call that it answers; empty where unsaid.
        text: The text.
    """

    call_id: str
    text: str


_TEXT = msgspec.json.Decoder(str)

# Given a result's text, returns another, or None to leave it.
_Rewrite = Callable[[ResultText], str | None]


def read_result_texts(dialect: str, message: bytes) -> list[ResultText]:
    """Return the texts of a message's tool results, in order.

    Args:
        dialect: The dialect's name.
        message: The message's raw JSON.
    """
    found: list[ResultText] = []
    # A list's `append` returns None, which leaves every text as it is.
    _REWRITERS[dialect](message, found.append)
    return found


def write_result_texts(dialect: str, message: bytes, texts: Sequence[str]) -> bytes:
    """Return a message with other texts in its tool results; everything else keeps its raw JSON.

    Args:
        dialect: The dialect's name.
        message: The message's raw JSON.
        texts: As many as `read_result_texts` returns, in the same order.
    """
    rest = iter(texts)
    return _REWRITERS[dialect](message, lambda _: next(rest))


def read_call_names(dialect: str, message: bytes) -> dict[str, str]:
    """Return the tool names of an assistant's message by the ids of its calls.

    Args:
        dialect: The dialect's name.
        message: The message's raw JSON.
    """
    return dict(_CALLS[dialect](raw.read_object(message, "")))


def _anthropic_calls(members: raw.RawObject) -> Iterator[tuple[str, str]]:
    content = members.get("content")
    if content is None or not raw.is_array(content):
        return
    for element in raw.read_array(content, ""):
        block = raw.read_object(element, "")
        if raw.read_text(block["type"], "") == "tool_use":
            yield _name(block.get("id")), _name(block.get("name"))


def _openai_calls(members: raw.RawObject) -> Iterator[tuple[str, str]]:
    value = members.get("tool_calls")
    if value is None or raw.is_null(value):
        return
    for element in raw.read_array(value, ""):
        call = raw.read_object(element, "")
        detail = call.get("function", call.get("custom"))
        yield _name(call.get("id")), "" if detail is None else _name(raw.read_object(detail, "").get("name"))


def _rewrite_anthropic(message: bytes, rewrite: _Rewrite) -> bytes:
    members: dict[str, raw.Slice] = {**raw.read_object(message, "")}
    content = members.get("content")
    if content is None or not raw.is_array(content):
        return message
    blocks: list[raw.Slice] = [*raw.read_array(content, "")]
    changed = False
    for number, element in enumerate(blocks):
        block: dict[str, raw.Slice] = {**raw.read_object(element, "")}
        if raw.read_text(block["type"], "") != "tool_result":
            continue
        result = _rewrite_content(block.get("content"), _name(block.get("tool_use_id")), rewrite)
        if result is not None:
            blocks[number] = raw.join_object({**block, "content": result})
            changed = True
    if not changed:
        return message
    return raw.join_object({**members, "content": raw.join_array(blocks)})


def _rewrite_openai(message: bytes, rewrite: _Rewrite) -> bytes:
    members: dict[str, raw.Slice] = {**raw.read_object(message, "")}
    if raw.read_text(members["role"], "") not in {"tool", "function"}:
        return message
    result = _rewrite_content(members.get("content"), _name(members.get("tool_call_id")), rewrite)
    return message if result is None else raw.join_object({**members, "content": result})


def _rewrite_content(content: raw.Slice | None, call_id: str, rewrite: _Rewrite) -> bytes | None:
    """Return a result's content anew, or None where nothing of it changes."""
    if content is None or raw.is_null(content):
        return None
    if raw.is_text(content):
        return _rewrite_text(content, call_id, rewrite)
    if not raw.is_array(content):
        return None
    parts: list[raw.Slice] = [*raw.read_array(content, "")]
    changed = False
    for number, members in _text_parts(parts):
        text = _rewrite_text(members["text"], call_id, rewrite)
        if text is not None:
            parts[number] = raw.join_object({**members, "text": text})
            changed = True
    return raw.join_array(parts) if changed else None


def _name(value: raw.Slice | None) -> str:
    """Return an id or a name; empty where it is absent, or none that anybody could have meant."""
    return "" if value is None else raw.attempt(_TEXT, value) or ""


def _text_parts(parts: Sequence[raw.Slice]) -> Iterator[tuple[int, raw.RawObject]]:
    for number, part in enumerate(parts):
        members = raw.read_object(part, "")
        if raw.read_text(members["type"], "") == "text":
            yield number, members


def _rewrite_text(content: raw.Slice, call_id: str, rewrite: _Rewrite) -> bytes | None:
    text = raw.read_text(content, "")
    rewritten = rewrite(ResultText(call_id, text))
    return None if rewritten is None or rewritten == text else raw.encode(rewritten)


_REWRITERS: dict[str, Callable[[bytes, _Rewrite], bytes]] = {
    anthropic.NAME: _rewrite_anthropic,
    openai_chat.NAME: _rewrite_openai,
}

_CALLS: dict[str, Callable[[raw.RawObject], Iterator[tuple[str, str]]]] = {
    anthropic.NAME: _anthropic_calls,
    openai_chat.NAME: _openai_calls,
}
