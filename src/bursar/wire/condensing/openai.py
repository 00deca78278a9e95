"""Messages of OpenAI's Chat Completions API."""

from collections.abc import Iterator, Mapping, Sequence

from bursar.domain.prompt import BlockKind, Role
from bursar.wire import raw_json as raw
from bursar.wire.condensing.spoken import Part, Spoken, Turn

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
_KINDS = {"text": BlockKind.TEXT, "image_url": BlockKind.IMAGE}


class OpenAIForm:
    """Fills `Form` for OpenAI's Chat Completions API."""

    def read(self, message: bytes) -> Spoken:
        """Read a message; see `Form.read`."""
        members = raw.read_object(message, "")
        role = _ROLES.get(raw.optional_text(members, "role"), Role.USER)
        parts = list(_read_content(members))
        if role is Role.TOOL:
            return Spoken(role, (_join_result(members, parts),))
        if role is Role.ASSISTANT:
            parts += _read_calls(members)
        return Spoken(role, tuple(parts))

    def mask(self, message: bytes, placeholders: Mapping[int, str]) -> bytes:
        """Return a tool's message with other content; see `Form.mask`."""
        [text] = placeholders.values()
        return raw.set_member(message, "content", raw.encode(text))

    def user_message(self, text: str) -> bytes:
        """Return a user's message; see `Form.user_message`."""
        return b'{"role":"user","content":' + raw.encode(text) + b"}"

    def arrange(self, turns: Sequence[Turn]) -> list[bytes]:
        """Return the messages as they are: any may follow any; see `Form.arrange`."""
        return [turn.content for turn in turns]


def _read_content(members: raw.RawObject) -> Iterator[Part]:
    content = members.get("content")
    if content is None or raw.is_null(content):
        return
    if raw.is_text(content):
        yield Part(BlockKind.TEXT, raw.read_text(content, "content"))
        return
    for value in raw.read_array(content, "content"):
        part = raw.read_object(value, "content")
        part_type = raw.optional_text(part, "type")
        kind = _KINDS.get(part_type, BlockKind.OTHER)
        yield Part(kind, raw.optional_text(part, "text") if kind is BlockKind.TEXT else f"[{part_type}]")


def _join_result(members: raw.RawObject, parts: list[Part]) -> Part:
    texts = [part.text for part in parts if part.kind is BlockKind.TEXT]
    # An older form answers the function's name.
    call_id = raw.optional_text(members, "tool_call_id") or raw.optional_text(members, "name")
    return Part(
        BlockKind.TOOL_RESULT,
        "\n".join(texts),
        call_id=call_id,
        media=len(parts) - len(texts),
        maskable=bool(parts) and len(texts) == len(parts),
    )


def _read_calls(members: raw.RawObject) -> Iterator[Part]:
    refusal = raw.optional_text(members, "refusal")
    if refusal:
        yield Part(BlockKind.OTHER, refusal)
    older = members.get("function_call")
    if older is not None and not raw.is_null(older):
        call = raw.read_object(older, "function_call")
        name = raw.optional_text(call, "name")
        yield Part(BlockKind.TOOL_CALL, raw.optional_text(call, "arguments"), call_id=name, name=name)
    calls = members.get("tool_calls")
    if calls is None or raw.is_null(calls):
        return
    for value in raw.read_array(calls, "tool_calls"):
        call = raw.read_object(value, "tool_calls")
        detail = raw.read_object(call.get("function", call.get("custom", b"{}")), "tool_calls")
        field = "arguments" if "arguments" in detail else "input"
        yield Part(
            BlockKind.TOOL_CALL,
            raw.optional_text(detail, field),
            call_id=raw.optional_text(call, "id"),
            name=raw.optional_text(detail, "name"),
        )
