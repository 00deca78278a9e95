"""The Chat Completions API's tools and messages, as pieces.

A block's canonical content leaves `prompt_cache_breakpoint` out; a string is one text part. An
assistant's message is its content parts, then what else it says (a refusal, audio), then one block per
tool call; a tool's message is one block.
"""

from collections.abc import Callable, Iterator

import msgspec

from bursar.domain.prompt import BlockKind, ContentClass, Mark, Role
from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.content import classify_result
from bursar.wire.drafts import BlockDraft, PieceDraft, draft_text, echo_digest, unseen_marks
from bursar.wire.images import OPENAI_IMAGE_TOKENS, OPENAI_LOW_DETAIL_TOKENS, audio_tokens, document_tokens

MARK_FIELD = "prompt_cache_breakpoint"
LONG_TTL = "12h"

# That a client set marks of the long lifetime, which usage does not tell (`Piece.features`).
LONG_MARKS = "long_marks"

# A role that we do not know is the provider's to judge; its content is attributed as a user's.
_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
_PROSE = {Role.ASSISTANT: ContentClass.ASSISTANT, Role.SYSTEM: ContentClass.POLICY}
_NULLABLE_CONTENT = frozenset({Role.ASSISTANT, Role.TOOL})


def read_tool(value: msgspec.Raw, place: str) -> PieceDraft:
    """Draft a tool definition. Tools take no marks."""
    tool = raw.read_object(value, place)
    block = BlockDraft(
        kind=BlockKind.TOOL,
        content_class=ContentClass.JSON,
        content=raw.compact(value),
        text=raw.compact(tool.get("function", value)).decode(),
        markable=False,
    )
    return PieceDraft(role=Role.SYSTEM, blocks=[block])


def message_reader(default_ttl: str) -> Callable[[msgspec.Raw, str], PieceDraft]:
    """Return a reader of messages.

    Args:
        default_ttl: Lifetime of a breakpoint that states none, as the request says.
    """

    def read(value: msgspec.Raw, place: str) -> PieceDraft:
        message = raw.read_object(value, place)
        role_name = raw.read_text(raw.required(message, "role", place), f"{place}.role")
        role = _ROLES.get(role_name, Role.USER)
        parts = _read_content(message, role, place, default_ttl)
        echo = b""
        if role is Role.TOOL:
            blocks = [_join_result(message, parts, place)]
        elif role is Role.ASSISTANT:
            calls = list(_read_calls(message, place))
            blocks = [*parts, *_read_remarks(message), *(block for block, _ in calls)]
            texts = [part.text for part in parts if part.kind is BlockKind.TEXT]
            echo = echo_digest(texts, [call_id for _, call_id in calls])
        else:
            blocks = parts
        head = role_name + "\0" + raw.optional_text(message, "name", place)
        return PieceDraft(
            role=role,
            blocks=blocks or [draft_text("", ContentClass.CHAT)],
            head=head.encode(),
            echo=echo,
            features=_features(blocks) | unseen_marks(bytes(value), MARK_FIELD, blocks),
        )

    return read


def _features(blocks: list[BlockDraft]) -> frozenset[str]:
    return frozenset([LONG_MARKS for block in blocks if block.mark and block.mark.ttl == LONG_TTL])


def read_mark(value: msgspec.Raw | None, place: str, default_ttl: str) -> Mark | None:
    """Read a `prompt_cache_breakpoint`; a `ttl` that is absent or no string counts as the default."""
    if value is None or raw.is_null(value):
        return None
    ttl = raw.read_object(value, place).get("ttl")
    if ttl is None or not raw.is_text(ttl):
        return Mark(default_ttl)
    return Mark(raw.read_text(ttl, f"{place}.ttl"))


def write_mark(mark: Mark, default_ttl: str) -> bytes:
    """Write a `prompt_cache_breakpoint`; the default lifetime needs no `ttl`."""
    if mark.ttl == default_ttl:
        return b'{"mode":"explicit"}'
    return b'{"mode":"explicit","ttl":' + raw.encode(mark.ttl) + b"}"


def _read_content(message: raw.RawObject, role: Role, place: str, default_ttl: str) -> list[BlockDraft]:
    content = message.get("content")
    content_place = f"{place}.content"
    prose = _PROSE.get(role, ContentClass.CHAT)
    if content is not None and raw.is_text(content):
        text = raw.read_text(content, content_place)
        # A call without words comes with null or with an empty string, which are the same.
        return [draft_text(text, prose)] if text else []
    if content is not None and raw.is_array(content):
        parts = raw.read_array(content, content_place)
        return [_read_part(part, f"{content_place}[{i}]", prose, default_ttl) for i, part in enumerate(parts)]
    if raw.is_null(content) and role in _NULLABLE_CONTENT:
        return []
    found = "nothing" if content is None else raw.kind(content)
    raise BadRequest(f"a string or an array of parts was expected, found {found}", place=content_place)


def _read_part(value: msgspec.Raw, place: str, prose: ContentClass, default_ttl: str) -> BlockDraft:
    members = raw.read_object(value, place)
    part_type = raw.read_text(raw.required(members, "type", place), f"{place}.type")
    mark = read_mark(members.pop(MARK_FIELD, None), f"{place}.{MARK_FIELD}", default_ttl)
    if part_type == "text":
        text = raw.read_text(raw.required(members, "text", place), f"{place}.text")
        draft = draft_text(text, prose)
        if len(members) > 2:
            draft.content = _content(members)
    elif part_type == "image_url":
        draft = _read_image(members, place)
    elif part_type == "file":
        data = raw.optional_object(members, "file").get("file_data")
        tokens = document_tokens(len(memoryview(data)) if data is not None else 0)
        draft = BlockDraft(BlockKind.OTHER, ContentClass.MEDIA, _content(members), extra_tokens=tokens)
    elif part_type == "input_audio":
        data = raw.optional_object(members, "input_audio").get("data")
        tokens = audio_tokens(len(memoryview(data)) if data is not None else 0)
        draft = BlockDraft(BlockKind.OTHER, ContentClass.MEDIA, _content(members), extra_tokens=tokens)
    else:
        content = _content(members)
        text = raw.optional_text(members, "refusal", place) or content.decode()
        draft = BlockDraft(BlockKind.OTHER, prose, content, text, markable=False)
    draft.mark = mark
    return draft


def _read_image(members: raw.RawObject, place: str) -> BlockDraft:
    image = raw.read_object(raw.required(members, "image_url", place), f"{place}.image_url")
    low = raw.optional_text(image, "detail", f"{place}.image_url") == "low"
    tokens = OPENAI_LOW_DETAIL_TOKENS if low else OPENAI_IMAGE_TOKENS
    return BlockDraft(BlockKind.IMAGE, ContentClass.MEDIA, _content(members), extra_tokens=tokens)


def _join_result(message: raw.RawObject, parts: list[BlockDraft], place: str) -> BlockDraft:
    """Join a tool's message into one block. It takes a mark at its last part."""
    text = "".join([part.text for part in parts])
    call_id = raw.optional_text(message, "tool_call_id", place)
    extra_tokens = sum([part.extra_tokens for part in parts])
    return BlockDraft(
        kind=BlockKind.TOOL_RESULT,
        content_class=classify_result(text, extra_tokens),
        content=b"\0".join([call_id.encode(), *(part.content for part in parts)]),
        text=text,
        extra_tokens=extra_tokens,
        markable=bool(parts) and parts[-1].markable,
        mark=next((part.mark for part in reversed(parts) if part.mark), None),
    )


def _read_remarks(message: raw.RawObject) -> Iterator[BlockDraft]:
    """Draft what an assistant's message says beside its content."""
    for name in ("refusal", "audio", "function_call"):
        value = message.get(name)
        if value is not None and not raw.is_null(value):
            content = raw.compact(value)
            yield BlockDraft(
                kind=BlockKind.TOOL_CALL if name == "function_call" else BlockKind.OTHER,
                content_class=ContentClass.JSON if name == "function_call" else ContentClass.ASSISTANT,
                content=name.encode() + b"\0" + content,
                text=content.decode(),
                markable=False,
            )


def _read_calls(message: raw.RawObject, place: str) -> Iterator[tuple[BlockDraft, str]]:
    """Draft an assistant's tool calls, each with its id."""
    value = message.get("tool_calls")
    if value is None or raw.is_null(value):
        return
    for index, element in enumerate(raw.read_array(value, f"{place}.tool_calls")):
        call_place = f"{place}.tool_calls[{index}]"
        call = raw.read_object(element, call_place)
        call_id = raw.read_text(raw.required(call, "id", call_place), f"{call_place}.id")
        # A function's arguments are a string, a custom tool's input likewise; both are what was written.
        detail = call.get("function", call.get("custom"))
        members = {} if detail is None else raw.read_object(detail, f"{call_place}.function")
        name = raw.optional_text(members, "name", f"{call_place}.function")
        field = "arguments" if "arguments" in members else "input"
        arguments = raw.optional_text(members, field, f"{call_place}.function")
        block = BlockDraft(
            kind=BlockKind.TOOL_CALL,
            content_class=ContentClass.JSON,
            content=raw.compact(element),
            text=f"{name} {arguments}",
            markable=False,
        )
        yield block, call_id


def _content(members: raw.RawObject) -> bytes:
    return raw.compact(raw.encode(members))
