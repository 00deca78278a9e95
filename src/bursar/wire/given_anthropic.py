"""What an answer of the Messages API gives its client.

Sources: the types of the anthropic SDK 2.12 and its page on stop reasons, checked 2026-11-24.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.wire import raw_json as raw
from bursar.wire.given_values import Ending, Given, Said, ToolUse
from bursar.wire.sse import EventSplitter, read_event

_ENDINGS: Mapping[str | None, Ending] = {
    "end_turn": Ending.DONE,
    "stop_sequence": Ending.DONE,
    "tool_use": Ending.TOOL_USE,
    "max_tokens": Ending.LIMIT,
    "model_context_window_exceeded": Ending.WINDOW,
    "refusal": Ending.REFUSAL,
    "pause_turn": Ending.PAUSED,
    "compaction": Ending.PAUSED,
}
_THINKING = frozenset({"thinking", "redacted_thinking"})


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Usage(msgspec.Struct):
    output_tokens: raw.Count | None = None


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = -1
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)


def read_given(body: bytes) -> Given | None:
    """Read a whole answer; None where it is none."""
    message = raw.attempt(_MESSAGE, body)
    return None if message is None else _give(message)


def read_given_stream(stream: bytes) -> Given | None:
    """Read a stream; None where it has not ended well."""
    message: _Message | None = None
    blocks: dict[int, _Block] = {}
    deltas: dict[int, list[str]] = {}
    for each in EventSplitter().feed(stream + b"\n\n"):
        data = read_event(each)[1]
        event = raw.attempt(_EVENT, data) if data else None
        if event is None:
            if data:
                return None
            continue
        if event.type == "message_start":
            message = event.message
        elif event.type == "message_stop" and message is not None:
            message.content = [_whole(block, deltas.get(index, ())) for index, block in blocks.items()]
            return _give(message)
        elif event.type == "content_block_start" and event.content_block is not None:
            blocks[event.index] = event.content_block
        elif event.type == "content_block_delta" and event.delta is not None:
            deltas.setdefault(event.index, []).append(event.delta.text or event.delta.partial_json)
        elif event.type == "message_delta" and message is not None:
            message.usage = event.usage or message.usage
            message.stop_reason = (event.delta and event.delta.stop_reason) or message.stop_reason
        elif event.type == "error":
            return None
    return None


def _whole(block: _Block, parts: Sequence[str]) -> _Block:
    said = "".join(parts)
    if block.type == "text":
        block.text += said
    elif said:
        block.input = msgspec.Raw(said.encode())
    return block


def _give(message: _Message) -> Given:
    texts: list[str] = []
    uses: list[ToolUse] = []
    last_from = 0
    holds_more = False
    for block in message.content:
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "tool_use":
            uses.append(ToolUse(block.name, bytes(block.input)))
        elif block.type not in _THINKING:
            holds_more = True
            last_from = len(texts)
    said = Said(
        text="".join(texts),
        last_text="".join(texts[last_from:]),
        tool_uses=tuple(uses),
        ending=_ENDINGS.get(message.stop_reason, Ending.OTHER),
        holds_more=holds_more,
    )
    return Given((said,), message.usage.output_tokens if message.usage is not None else None)
