"""The Messages API's tools, system blocks and messages, as pieces.

A block's canonical content leaves `cache_control` out, at the block itself and at blocks nested in its
`content`; a string is one text block. What is nested in a tool result or a document counts as part of it.
"""

import re
from collections.abc import Callable, Iterable

import msgspec

from bursar.domain.prompt import BlockKind, ContentClass, Mark, Role
from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.content import classify, classify_result
from bursar.wire.drafts import (
    MEDIA,
    UNSEEN_MARKS,
    BlockDraft,
    PieceDraft,
    draft_text,
    echo_digest,
    unseen_marks,
)
from bursar.wire.images import ANTHROPIC_IMAGE_TOKENS_MAX, anthropic_image_tokens, document_tokens

MARK_FIELD = "cache_control"
_DEFAULT_TTL = "5m"

# What the provider's cache asks about the prompt as a whole (`Piece.features`).
IMAGES, CITATIONS, WEB_SEARCH = "images", "citations", "web_search"

# That a tool is one of the provider's own definition.
PROVIDER_TOOLS = "provider_tools"

# Cheap looks at raw bytes: quotes inside JSON strings are escaped, so these match structure only.
_IN_MESSAGES = (
    (IMAGES, b'"image"', re.compile(rb'"type"\s*:\s*"image"')),
    (CITATIONS, b'"citations"', re.compile(rb'"citations"\s*:\s*\{\s*"enabled"\s*:\s*true')),
)
MESSAGE_FEATURES = frozenset([MEDIA, UNSEEN_MARKS, *(name for name, _, _ in _IN_MESSAGES)])
_IN_TOOLS = (
    (WEB_SEARCH, b'"web_search_', re.compile(rb'"type"\s*:\s*"web_search_')),
    # Their types end with the day of their version, but for the tools of remote servers.
    (PROVIDER_TOOLS, b'"type"', re.compile(rb'"type"\s*:\s*"([a-z_0-9]+_20\d{6}|mcp_toolset)"')),
)

# A role that we do not know is the provider's to judge; its content is attributed as a user's.
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


def read_tool(value: msgspec.Raw, place: str) -> PieceDraft:
    """Draft a tool definition.

    A tool that is loaded on demand only (`defer_loading`) is no part of the prompt, and takes no mark.
    """
    tool = raw.read_object(value, place)
    mark = take_mark(tool, place)
    deferred = raw.optional_flag(tool, "defer_loading", place)
    content = raw.compact(raw.encode(tool))
    block = BlockDraft(
        kind=BlockKind.TOOL,
        content_class=ContentClass.JSON,
        content=content,
        text="" if deferred else content.decode(),
        markable=not deferred,
        mark=mark,
    )
    return PieceDraft(role=Role.SYSTEM, blocks=[block], features=_features(value, _IN_TOOLS))


def read_system_block(value: msgspec.Raw, place: str) -> PieceDraft:
    """Draft one block of a system prompt."""
    return PieceDraft(role=Role.SYSTEM, blocks=[_read_block(value, place, ContentClass.POLICY)])


def read_system_text(value: msgspec.Raw, place: str) -> PieceDraft:
    """Draft a system prompt that is a string."""
    block = draft_text(raw.read_text(value, place), ContentClass.POLICY)
    return PieceDraft(role=Role.SYSTEM, blocks=[block])


def read_message(value: msgspec.Raw, place: str) -> PieceDraft:
    """Draft a message."""
    message = raw.read_object(value, place)
    role_name = raw.read_text(raw.required(message, "role", place), f"{place}.role")
    role = _ROLES.get(role_name, Role.USER)
    prose = _PROSE.get(role, ContentClass.CHAT)
    content = raw.required(message, "content", place)
    content_place = f"{place}.content"
    echo = b""
    if raw.is_text(content):
        text = raw.read_text(content, content_place)
        blocks = [draft_text(text, prose)]
        if role is Role.ASSISTANT:
            echo = echo_digest((text,), ())
    elif raw.is_array(content):
        parts = raw.read_array(content, content_place)
        blocks = [
            _read_block(part, f"{content_place}[{index}]", prose) for index, part in enumerate(parts)
        ] or [draft_text("", prose)]
        if role is Role.ASSISTANT:
            echo = _echo(parts)
    else:
        found = raw.kind(content)
        raise BadRequest(f"a string or an array of blocks was expected, found {found}", place=content_place)
    features = _features(value, _IN_MESSAGES) | unseen_marks(bytes(value), MARK_FIELD, blocks)
    return PieceDraft(role, blocks, role_name.encode(), echo, features)


def _features(value: msgspec.Raw, signs: Iterable[tuple[str, bytes, re.Pattern[bytes]]]) -> frozenset[str]:
    """Return the features whose signs an element shows, in raw JSON; most show none."""
    content = bytes(value)
    return frozenset([name for name, word, sign in signs if word in content and sign.search(content)])


def read_mark(value: raw.Slice | None, place: str) -> Mark | None:
    """Read a `cache_control`; a `ttl` that is absent or no string counts as the default."""
    if value is None or raw.is_null(value):
        return None
    ttl = raw.read_object(value, place).get("ttl")
    if ttl is None or not raw.is_text(ttl):
        return Mark(_DEFAULT_TTL)
    return Mark(raw.read_text(ttl, f"{place}.ttl"))


def write_mark(mark: Mark) -> bytes:
    """Write a `cache_control`; the default lifetime needs no `ttl`."""
    if mark.ttl == _DEFAULT_TTL:
        return b'{"type":"ephemeral"}'
    return b'{"type":"ephemeral","ttl":' + raw.encode(mark.ttl) + b"}"


def take_mark(members: raw.RawObject, place: str) -> Mark | None:
    """Take the mark out of an object's members and read it."""
    return read_mark(members.pop(MARK_FIELD, None), f"{place}.{MARK_FIELD}")


_PROSE = {Role.ASSISTANT: ContentClass.ASSISTANT, Role.SYSTEM: ContentClass.POLICY}


def _echo(parts: list[msgspec.Raw]) -> bytes:
    """Name an assistant's blocks. They were read before, so that their types are known to be right."""
    texts: list[str] = []
    ids: list[str] = []
    for part in parts:
        block = raw.read_object(part, "")
        block_type = raw.read_text(block["type"], "")
        if block_type == "text":
            texts.append(raw.read_text(block["text"], ""))
        elif block_type == "tool_use":
            ids.append(raw.read_text(block["id"], ""))
    return echo_digest(texts, ids)


def _read_block(value: msgspec.Raw, place: str, prose: ContentClass) -> BlockDraft:
    members = raw.read_object(value, place)
    block_type = raw.read_text(raw.required(members, "type", place), f"{place}.type")
    mark = take_mark(members, place)
    if block_type == "text" and len(members) == 2:
        text = raw.read_text(raw.required(members, "text", place), f"{place}.text")
        return draft_text(text, prose, mark)
    draft = _READERS.get(block_type, _read_other)(members, place, prose)
    # A mark on a nested block ends the same prefix, as far as we tell blocks apart.
    draft.mark = mark or draft.mark
    return draft


def _read_text(members: raw.RawObject, place: str, prose: ContentClass) -> BlockDraft:
    text = raw.read_text(raw.required(members, "text", place), f"{place}.text")
    draft = draft_text(text, prose)
    draft.content = _content(members)
    return draft


def _read_thinking(members: raw.RawObject, place: str, prose: ContentClass) -> BlockDraft:
    return BlockDraft(
        kind=BlockKind.THINKING,
        content_class=prose,
        content=_content(members),
        text=raw.optional_text(members, "thinking", place),
        markable=False,
    )


def _read_tool_use(members: raw.RawObject, place: str, _: ContentClass) -> BlockDraft:
    raw.read_text(raw.required(members, "id", place), f"{place}.id")
    name = raw.optional_text(members, "name", place)
    arguments = raw.compact(members["input"]).decode() if "input" in members else ""
    return BlockDraft(
        kind=BlockKind.TOOL_CALL,
        content_class=ContentClass.JSON,
        content=_content(members),
        text=f"{name} {arguments}",
    )


def _read_tool_result(members: raw.RawObject, place: str, _: ContentClass) -> BlockDraft:
    content = members.get("content")
    if content is None or raw.is_null(content):
        return BlockDraft(BlockKind.TOOL_RESULT, ContentClass.CHAT, _content(members))
    content_place = f"{place}.content"
    if raw.is_text(content):
        text = raw.read_text(content, content_place)
        return BlockDraft(BlockKind.TOOL_RESULT, classify_result(text), _content(members), text)
    return _read_container(members, content, BlockKind.TOOL_RESULT, content_place)


def _read_container(members: raw.RawObject, content: msgspec.Raw, kind: BlockKind, place: str) -> BlockDraft:
    """Draft a block that holds blocks; `content` is its member of that name."""
    parts = raw.read_array(content, place)
    drafts = [_read_block(part, f"{place}[{i}]", ContentClass.CHAT) for i, part in enumerate(parts)]
    text = "".join([draft.text for draft in drafts])
    extra_tokens = sum([draft.extra_tokens for draft in drafts])
    rest = {name: value for name, value in members.items() if name != "content"}
    return BlockDraft(
        kind=kind,
        content_class=classify_result(text, extra_tokens),
        content=_content(rest) + b"\0" + b"\0".join([draft.content for draft in drafts]),
        text=text,
        extra_tokens=extra_tokens,
        mark=next((draft.mark for draft in reversed(drafts) if draft.mark), None),
    )


def _read_image(members: raw.RawObject, place: str, _: ContentClass) -> BlockDraft:
    source = raw.read_object(raw.required(members, "source", place), f"{place}.source")
    data = raw.optional_text(source, "data", f"{place}.source")
    tokens = anthropic_image_tokens(data) if data else ANTHROPIC_IMAGE_TOKENS_MAX
    return BlockDraft(BlockKind.IMAGE, ContentClass.MEDIA, _content(members), extra_tokens=tokens)


def _read_document(members: raw.RawObject, place: str, prose: ContentClass) -> BlockDraft:
    source = raw.read_object(raw.required(members, "source", place), f"{place}.source")
    source_type = raw.optional_text(source, "type", f"{place}.source")
    titles = "".join([raw.optional_text(members, name, place) for name in ("title", "context")])
    content = _content(members)
    if source_type == "text":
        text = titles + raw.optional_text(source, "data", f"{place}.source")
        return BlockDraft(BlockKind.OTHER, classify(text, prose), content, text)
    if source_type == "content" and "content" in source:
        text = titles + raw.compact(source["content"]).decode()
        return BlockDraft(BlockKind.OTHER, classify(text, prose), content, text)
    data = source.get("data")
    tokens = document_tokens(len(memoryview(data)) if data is not None else 0)
    return BlockDraft(BlockKind.OTHER, ContentClass.MEDIA, content, titles, extra_tokens=tokens)


def _read_other(members: raw.RawObject, place: str, prose: ContentClass) -> BlockDraft:
    """Draft a block of a type that we have no use for: its whole JSON counts, and no mark is set on it."""
    del place, prose
    content = _content(members)
    return BlockDraft(BlockKind.OTHER, ContentClass.JSON, content, content.decode(), markable=False)


def _read_provider_block(members: raw.RawObject, place: str, prose: ContentClass) -> BlockDraft:
    """Draft a block of the provider's own tools, which takes marks."""
    draft = _read_other(members, place, prose)
    draft.markable = True
    return draft


def _content(members: raw.RawObject) -> bytes:
    return raw.compact(raw.encode(members))


_READERS: dict[str, Callable[[raw.RawObject, str, ContentClass], BlockDraft]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "redacted_thinking": _read_thinking,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_provider_block,
    "server_tool_use": _read_provider_block,
    "web_search_tool_result": _read_provider_block,
    "web_fetch_tool_result": _read_provider_block,
    "code_execution_tool_result": _read_provider_block,
    "bash_code_execution_tool_result": _read_provider_block,
    "text_editor_code_execution_tool_result": _read_provider_block,
    "tool_search_tool_result": _read_provider_block,
    "container_upload": _read_provider_block,
}
