"""Messages of Anthropic's Messages API."""

from collections.abc import Mapping, Sequence

from bursar.domain.prompt import BlockKind, Role
from bursar.wire import raw_json as raw
from bursar.wire.condensing.spoken import Part, Spoken, Turn
from bursar.wire.condensing.wording import BRIDGE

_ROLES = {"assistant": Role.ASSISTANT, "system": Role.SYSTEM}

# What a placeholder can stand for. A `tool_reference` loads a tool, and what is cited must stay.
_MASKABLE = frozenset({"text", "image", "document"})
_CITED = b'"citations"'


class AnthropicForm:
    """Fills `Form` for Anthropic's Messages API."""

    def read(self, message: bytes) -> Spoken:
        """Read a message; see `Form.read`."""
        members = raw.read_object(message, "")
        role = _ROLES.get(raw.optional_text(members, "role"), Role.USER)
        content = raw.required(members, "content", "")
        if raw.is_text(content):
            return Spoken(role, (Part(BlockKind.TEXT, raw.read_text(content, "content")),))
        return Spoken(role, tuple([_read_block(block) for block in raw.read_array(content, "content")]))

    def mask(self, message: bytes, placeholders: Mapping[int, str]) -> bytes:
        """Return a message with other content in some tool results; see `Form.mask`."""
        blocks: list[raw.Slice] = [*raw.read_array(raw.read_object(message, "")["content"], "content")]
        for number, text in placeholders.items():
            blocks[number] = raw.set_member(blocks[number], "content", raw.encode(text))
        return raw.set_member(message, "content", raw.join_array(blocks))

    def user_message(self, text: str) -> bytes:
        """Return a user's message; see `Form.user_message`."""
        return b'{"role":"user","content":[' + _text_block(raw.encode(text)) + b"]}"

    def arrange(self, turns: Sequence[Turn]) -> list[bytes]:
        """Let user and assistant take turns where messages meet; see `Form.arrange`.

        Two messages of a user become one. Between two of the assistant a user says that something is
        missing, since joined they would be an answer that the model never gave.
        """
        arranged: list[Turn] = []
        for turn in turns:
            last = arranged[-1] if arranged else None
            if last is None or turn.follows(last) or turn.role is not last.role or turn.role is Role.SYSTEM:
                arranged.append(turn)
            elif turn.role is Role.USER:
                arranged[-1] = Turn(Role.USER, _join(last.content, turn.content), turn.number)
            else:
                arranged += (Turn(Role.USER, self.user_message(BRIDGE), None), turn)
        return [turn.content for turn in arranged]


def _join(first: bytes, second: bytes) -> bytes:
    """Return one message with the content of two."""
    return raw.set_member(first, "content", raw.join_array([*_blocks(first), *_blocks(second)]))


def _read_block(value: raw.Slice) -> Part:
    members = raw.read_object(value, "content")
    block_type = raw.optional_text(members, "type")
    if block_type == "text":
        return Part(BlockKind.TEXT, raw.optional_text(members, "text"))
    if block_type == "tool_use":
        arguments = raw.compact(members["input"]).decode() if "input" in members else ""
        return Part(
            BlockKind.TOOL_CALL,
            arguments,
            call_id=raw.optional_text(members, "id"),
            name=raw.optional_text(members, "name"),
        )
    if block_type == "tool_result":
        return _read_result(members, bytes(value))
    if block_type in {"thinking", "redacted_thinking"}:
        return Part(BlockKind.THINKING)
    return Part(BlockKind.IMAGE if block_type == "image" else BlockKind.OTHER, f"[{block_type}]")


def _read_result(members: raw.RawObject, block: bytes) -> Part:
    call_id = raw.optional_text(members, "tool_use_id")
    failed = bytes(members.get("is_error", b"")) == b"true"
    content = members.get("content")
    if content is None or raw.is_null(content):
        return Part(BlockKind.TOOL_RESULT, call_id=call_id, failed=failed)
    if raw.is_text(content):
        text = raw.read_text(content, "content")
        return Part(BlockKind.TOOL_RESULT, text, call_id=call_id, maskable=True, failed=failed)
    texts: list[str] = []
    types: list[str] = []
    for part in raw.read_array(content, "content"):
        inner = raw.read_object(part, "content")
        types.append(raw.optional_text(inner, "type"))
        if types[-1] == "text":
            texts.append(raw.optional_text(inner, "text"))
    return Part(
        BlockKind.TOOL_RESULT,
        "\n".join(texts),
        call_id=call_id,
        media=len(types) - len(texts),
        maskable=_MASKABLE.issuperset(types) and _CITED not in block,
        failed=failed,
    )


def _blocks(message: bytes) -> list[raw.Slice]:
    content = raw.read_object(message, "")["content"]
    if not raw.is_text(content):
        return [*raw.read_array(content, "content")]
    return [_text_block(bytes(content))]


def _text_block(text: bytes) -> bytes:
    return b'{"type":"text","text":' + text + b"}"
