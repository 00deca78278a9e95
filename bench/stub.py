"""A constant-byte upstream: the fastest provider there can be, so that what is measured is the gateway.

`python -m bench.stub --port N [--stream-events 200] [--event-gap-ms 0]` answers every POST with the same
bytes: an Anthropic message, an OpenAI completion by path, or, where the body asks for a stream, events.
`GET /open` answers how many connections are in mid-answer.
"""

import argparse
import asyncio
import json
import signal

import uvloop

ANSWER = "All right: the reservation is changed. Anything else?"

MESSAGE = json.dumps(
    {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 300,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 14,
            "service_tier": "standard",
        },
    }
).encode()

COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 300, "completion_tokens": 3, "total_tokens": 303},
    }
).encode()


def _event(name: str, data: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


START = _event(
    "message_start", {"message": json.loads(MESSAGE) | {"content": [], "stop_reason": None}}
) + _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
DELTA = _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "word "}})
END = (
    _event("content_block_stop", {"index": 0})
    + _event("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 200}})
    + _event("message_stop", {})
)


def _whole(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Stub(asyncio.Protocol):
    """One connection."""

    streaming = 0
    events = 200
    gap_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head_end = self.buffer.find(b"\r\n\r\n")
            if head_end < 0:
                return
            head = self.buffer[:head_end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            end = head_end + 4 + length
            if len(self.buffer) < end:
                return
            body = self.buffer[head_end + 4 : end]
            self.buffer = self.buffer[end:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get /open"):
            self.transport.write(_whole(str(Stub.streaming).encode()))  # type: ignore[attr-defined]
        elif b'"stream":true' in body or b'"stream": true' in body:
            self.task = asyncio.ensure_future(self._stream())
        else:
            whole = COMPLETION if b"/chat/completions" in head.split(b"\r\n", 1)[0] else MESSAGE
            self.transport.write(_whole(whole))  # type: ignore[attr-defined]

    async def _stream(self) -> None:
        Stub.streaming += 1
        try:
            self.transport.write(STREAM_HEAD + _chunk(START))  # type: ignore[attr-defined]
            for _ in range(Stub.events):
                self.transport.write(_chunk(DELTA))  # type: ignore[attr-defined]
                await asyncio.sleep(Stub.gap_s)
            self.transport.write(_chunk(END) + b"0\r\n\r\n")  # type: ignore[attr-defined]
        finally:
            Stub.streaming -= 1


async def serve(port: int) -> None:
    """Serve until told to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Stub, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stream-events", type=int, default=200)
    parser.add_argument("--event-gap-ms", type=float, default=0.0)
    options = parser.parse_args()
    Stub.events = options.stream_events
    Stub.gap_s = options.event_gap_ms / 1000
    uvloop.run(serve(options.port))


if __name__ == "__main__":
    main()
