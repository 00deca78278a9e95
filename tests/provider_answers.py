"""What a provider answers, in both dialects, as bytes."""

import json
from typing import Any

TEXT = "All right: the reservation is changed."

Json = dict[str, Any]


def message(*, usage: Json | None = None, text: str = TEXT, model: str = "claude-sonnet-4-6") -> Json:
    """An answer of the Messages API: 300 tokens in, 20 out where nothing else is said."""
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 300, "output_tokens": 20} if usage is None else usage,
    }


def completion(*, usage: Json | None = None, text: str = TEXT) -> Json:
    """An answer of the Chat Completions API: 300 tokens in, 20 out where nothing else is said."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}
        if usage is None
        else usage,
    }


def message_events(*, usage: Json | None = None, words: list[str] | None = None) -> list[bytes]:
    """The same as a stream: one event for each word, then the end."""
    used = message(usage=usage)["usage"]
    begun = message() | {"content": [], "stop_reason": None, "usage": {**used, "output_tokens": 1}}
    texts = ["All ", "right."] if words is None else words
    return [
        _event("message_start", {"message": begun}),
        _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        *(
            _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})
            for text in texts
        ),
        _event("content_block_stop", {"index": 0}),
        _event(
            "message_delta",
            {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": used["output_tokens"]}},
        ),
        _event("message_stop", {}),
    ]


def completion_chunks(*, with_usage: bool = True, words: list[str] | None = None) -> list[bytes]:
    """A stream of chunks, that of usage before the end where it was asked for."""
    base: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    texts = ["All ", "right."] if words is None else words
    chunks: list[Json] = [
        base | {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        for text in texts
    ]
    chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if with_usage:
        chunks.append(base | {"choices": [], "usage": completion()["usage"]})
    return [*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


def _event(name: str, data: Json) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
