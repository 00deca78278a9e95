"""How the Messages API writes an answer: as one body, or as events.

Usage: `input_tokens` leaves cached tokens out, and `output_tokens` holds the thinking.
"""

from typing import Any

import orjson

from bursar.domain.usage import Usage
from bursar.double.faces import Reply, Sent
from bursar.double.shapes import JsonObject
from bursar.double.speech import Ending, deltas

_STOP_REASONS = {
    Ending.DONE: "end_turn",
    Ending.TOOL_CALLS: "tool_use",
    Ending.STOP_SEQUENCE: "stop_sequence",
    Ending.LIMIT: "max_tokens",
}
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def render_whole(reply: Reply) -> bytes:
    """Write an answer as one body."""
    content: list[JsonObject] = []
    if reply.reasoning:
        content.append({"type": "thinking", "thinking": reply.reasoning, "signature": _signature(reply)})
    if reply.speech.text:
        content.append({"type": "text", "text": reply.speech.text})
    content.extend(
        {"type": "tool_use", "id": call.call_id, "name": call.name, "input": orjson.loads(call.arguments)}
        for call in reply.speech.calls
    )
    return orjson.dumps(_message(reply, content, _usage(reply)) | _ending(reply))


def render_events(reply: Reply) -> list[Sent]:
    """Write an answer as events."""
    usage = _usage(reply)
    # At the start the provider knows the prompt only; the last event brings the output.
    first = usage | {"output_tokens": min(1, reply.usage.output_tokens)}
    first.pop("output_tokens_details", None)
    first.pop("server_tool_use", None)
    sent: list[Sent] = [
        (_event({"type": "message_start", "message": _message(reply, [], first)}), 0),
        (_PING, 0),
    ]
    index = _add_reasoning(sent, reply)
    opened: int | None = -1
    for delta in deltas(reply.speech, reply.usage.output, reply.usage.reasoning):
        if delta.call != opened:
            if opened != -1:
                sent.append((_stop(index), sent[-1][1]))
                index += 1
            sent.append((_start(index, _opening(reply, delta.call)), sent[-1][1]))
            opened = delta.call
        sent.append((_delta(index, delta.call, delta.text), delta.output_tokens))
    tokens = reply.usage.output_tokens
    if opened != -1:
        sent.append((_stop(index), tokens))
    # `cache_creation`, the tier and the place were said at the start; cumulative counts are said again.
    totals = {
        k: v
        for k, v in usage.items()
        if k not in {"cache_creation", "service_tier", "speed", "inference_geo"}
    }
    sent.append((_event({"type": "message_delta", "delta": _ending(reply), "usage": totals}), tokens))
    sent.append((_event({"type": "message_stop"}), tokens))
    return sent


def _add_reasoning(sent: list[Sent], reply: Reply) -> int:
    """Append the thinking block, if there is one, and return the number of the next block."""
    if not reply.reasoning:
        return 0
    tokens = reply.usage.reasoning
    sent.append((_start(0, {"type": "thinking", "thinking": "", "signature": ""}), 0))
    sent.append((_block_delta(0, {"type": "thinking_delta", "thinking": reply.reasoning}), tokens))
    sent.append((_block_delta(0, {"type": "signature_delta", "signature": _signature(reply)}), tokens))
    sent.append((_stop(0), tokens))
    return 1


def _message(reply: Reply, content: list[JsonObject], usage: JsonObject) -> JsonObject:
    return {
        "id": f"msg_01{reply.name}",
        "type": "message",
        "role": "assistant",
        "model": reply.ask.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _ending(reply: Reply) -> JsonObject:
    return {
        "stop_reason": _STOP_REASONS[reply.speech.ending],
        "stop_sequence": reply.speech.stop_sequence or None,
    }


def _usage(reply: Reply) -> JsonObject:
    used: Usage = reply.usage
    usage: dict[str, Any] = {
        "input_tokens": used.input,
        "cache_creation_input_tokens": used.cache_write_5m + used.cache_write_1h,
        "cache_read_input_tokens": used.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.cache_write_5m,
            "ephemeral_1h_input_tokens": used.cache_write_1h,
        },
        "output_tokens": used.output_tokens,
        "service_tier": "batch" if reply.ask.terms.tier == "batch" else "standard",
    }
    if used.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    if used.web_search:
        usage["server_tool_use"] = {"web_search_requests": used.web_search, "web_fetch_requests": 0}
    if reply.ask.terms.tier == "fast":
        usage["speed"] = "fast"
    if reply.ask.terms.geo:
        usage["inference_geo"] = reply.ask.terms.geo
    return usage


def _signature(reply: Reply) -> str:
    return f"double{reply.name}"


def _opening(reply: Reply, call: int | None) -> JsonObject:
    if call is None:
        return {"type": "text", "text": ""}
    spoken = reply.speech.calls[call]
    return {"type": "tool_use", "id": spoken.call_id, "name": spoken.name, "input": {}}


def _event(data: JsonObject) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), orjson.dumps(data))


def _start(index: int, block: JsonObject) -> bytes:
    return _event({"type": "content_block_start", "index": index, "content_block": block})


def _delta(index: int, call: int | None, text: str) -> bytes:
    if call is None:
        return _block_delta(index, {"type": "text_delta", "text": text})
    return _block_delta(index, {"type": "input_json_delta", "partial_json": text})


def _block_delta(index: int, delta: JsonObject) -> bytes:
    return _event({"type": "content_block_delta", "index": index, "delta": delta})


def _stop(index: int) -> bytes:
    return _event({"type": "content_block_stop", "index": index})
