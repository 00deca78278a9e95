"""A note at the end of a prompt: text that its instructions held, for this call only.

It stands behind the last message of the user's, as a block of its own; behind a tool's message, as a message
of its own. The client knows nothing of it, so the next turn comes without.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.domain.prompt import BlockKind, ContentClass, Piece, Role
from bursar.wire import raw_json as raw
from bursar.wire.dialect import Reading, Request
from bursar.wire.drafts import PieceDraft, PieceReader, draft_text
from bursar.wire.memo import PieceMemo

_HEADS = {Role.USER: b"", Role.TOOL: b"user\0"}
"""What distinguishes a note by the role that it stands behind: none as a block among others."""

_TAG = b"note"


def takes_note(request: Request) -> bool:
    """Whether a request may have a note: it ends with what a user said, or with a tool's result.

    Not where Anthropic's model may think: text of a user's behind a tool's result has its thoughts so far
    left out, and the cache, which holds them, missed.

    Source: an experiment with a Haiku model (newer and larger ones are said to keep thoughts),
    cnblogs.com/rolandhe/p/20176646, checked 2026-11-24.
    """
    prompt = request.prompt
    # What the provider is to mark by itself would be the note.
    if not prompt.messages or prompt.messages[-1].role not in _HEADS or prompt.auto_mark is not None:
        return False
    return not _may_think(request)


def _may_think(request: Request) -> bool:
    asked = request.fields.get("thinking", raw.NULL)
    if asked != raw.NULL and b'"disabled"' not in asked:
        return True
    for message in reversed(request.prompt.messages):
        kinds = {block.kind for block in message.blocks}
        if BlockKind.THINKING in kinds:
            return True
        if message.role is Role.USER and BlockKind.TOOL_RESULT not in kinds:
            break
    return False


def read_with_note(request: Request, text: str, memo: PieceMemo) -> Reading:
    """Read a request with a note.

    Args:
        request: The request; `takes_note` says whether it may.
        text: The note.
        memo: What is remembered of earlier bodies.

    Raises:
        ValueError: The last message is not of a form that takes another block.
    """
    last = request.prompt.messages[-1]
    head = _HEADS[last.role]
    reader = PieceReader(memo)

    def draft(_: msgspec.Raw, place: str) -> PieceDraft:
        del place
        return PieceDraft(Role.USER, [draft_text(text, ContentClass.CHAT)], head)

    reader.take_one(raw.encode(text), "note", _TAG + head, draft)
    fields, ends = _write(request, text, apart=last.role is Role.TOOL)

    def finish(counts: Sequence[int]) -> Request:
        (note,) = reader.finish(counts)["note"].pieces
        return _with_piece(request, note, fields, ends)

    return Reading(texts=reader.texts(), finish=finish)


def _with_piece(request: Request, note: Piece, fields: Mapping[str, bytes], ends: Sequence[int]) -> Request:
    messages = request.prompt.messages
    last = messages[-1]
    if last.role is Role.TOOL:
        messages = (*messages, note)
    else:
        joined = msgspec.structs.replace(last, blocks=last.blocks + note.blocks)
        messages = (*messages[:-1], joined)
    return msgspec.structs.replace(
        request,
        fields={**request.fields, **fields},
        prompt=msgspec.structs.replace(request.prompt, messages=messages, passing_blocks=len(note.blocks)),
        piece_ends={**request.piece_ends, "messages": ends},
    )


def _write(request: Request, text: str, *, apart: bool) -> tuple[Mapping[str, bytes], Sequence[int]]:
    """Return the messages with a note, and where each ends."""
    array, ends = request.fields["messages"], request.piece_ends["messages"]
    if apart:
        note = b',{"role":"user","content":' + raw.encode(text) + b"}"
        return {"messages": array[: ends[-1]] + note + b"]"}, (*ends, ends[-1] + len(note))
    last = raw.element(array, ends, len(ends) - 1)
    content = raw.read_object(last, "")["content"]
    if raw.is_text(content):
        blocks = [b'{"type":"text","text":' + bytes(content) + b"}"]
    elif raw.is_array(content):
        blocks = [bytes(block) for block in raw.read_array(content, "")]
    else:
        blocks = []
    if not blocks:
        raise ValueError("the last message takes no further block")
    blocks.append(b'{"type":"text","text":' + raw.encode(text) + b"}")
    written = raw.set_member(last, "content", raw.join_array(blocks))
    start = ends[-1] - len(last)
    return {"messages": array[:start] + written + b"]"}, (*ends[:-1], start + len(written))
