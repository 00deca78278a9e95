"""Print what reading, writing and metering cost: µs per body or answer, events per second.

Run: `python -m bench.wire`
"""

import json
import time
from collections.abc import Callable

from bench.conversations import bodies
from bench.stub import COMPLETION, MESSAGE
from bursar.domain.prompt import Mark, Place, Section
from bursar.wire.dialect import Dialect, Edits, Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

ANTHROPIC = DIALECTS["anthropic.messages"]
OPENAI = DIALECTS["openai.chat"]


def body(dialect: Dialect, size_bytes: int, messages: int) -> bytes:
    text = 'The customer asks for a "refund" of order 1047.\n'
    share = text * max(1, size_bytes // (len(text) + 4) // messages)
    turns = [
        {"role": "assistant" if number % 2 else "user", "content": f"{number} {share}"}
        for number in range(messages)
    ]
    request = {"model": "claude-sonnet-4-6", "max_tokens": 1_000, "stream": True}
    if dialect is ANTHROPIC:
        return json.dumps({**request, "system": "You are a clerk.", "messages": turns}).encode()
    return json.dumps(
        {**request, "messages": [{"role": "system", "content": "You are a clerk."}, *turns]}
    ).encode()


def read(dialect: Dialect, content: bytes, memo: PieceMemo) -> Request:
    reading = dialect.read(content, memo)
    return reading.finish([len(text) // 4 for text in reading.texts])


def microseconds(repeat: int, act: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeat):
            act()
        best = min(best, time.perf_counter() - start)
    return best / repeat * 1e6


def stream(dialect: Dialect, deltas: int) -> list[bytes]:
    if dialect is ANTHROPIC:
        events = [
            {
                "type": "message_start",
                "message": {"model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}},
            },
            *(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": f" word{n}"},
                }
                for n in range(deltas)
            ),
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": deltas},
            },
            {"type": "message_stop"},
        ]
        return [
            f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
            for event in events
        ]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks: list[dict[str, object]] = [
        {
            **head,
            "choices": [
                {"index": 0, "delta": {"content": f" word{n}"}, "logprobs": None, "finish_reason": None}
            ],
            "usage": None,
        }
        for n in range(deltas)
    ]
    chunks.append({**head, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": deltas}})
    lines = [f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n".encode() for chunk in chunks]
    return [*lines, b"data: [DONE]\n\n"]


def meter(dialect: Dialect, request: Request, chunks: list[bytes]) -> None:
    running = dialect.meter(request)
    for chunk in chunks:
        running.feed(chunk)
    if not running.answer().complete:
        raise SystemExit("the stream did not end")


def read_conversations(size_bytes: int) -> None:
    """Print what a body of one of 2,000 conversations costs that are remembered, each in its turn."""
    memo = PieceMemo()
    contents = bodies(size_bytes)

    def read_all() -> None:
        for content in contents:
            read(ANTHROPIC, content, memo)

    read_all()
    print(
        f"{ANTHROPIC.name}: {size_bytes:6,} bytes, 2,000 conversations in turn: "
        f"read remembered {microseconds(1, read_all) / len(contents):6.1f} µs"
    )


def main() -> None:
    for size_bytes in (1_000, 30_000):
        read_conversations(size_bytes)
    for dialect, content in ((ANTHROPIC, MESSAGE), (OPENAI, COMPLETION)):
        took_us = microseconds(5_000, lambda c=content, d=dialect: d.answer(c))
        print(f"{dialect.name}: {len(content):6,} bytes of answer: {took_us:.1f} µs")
    for dialect in (ANTHROPIC, OPENAI):
        for size_bytes, messages in ((1_000, 3), (30_000, 40)):
            content = body(dialect, size_bytes, messages)
            memo = PieceMemo()
            request = read(dialect, content, memo)
            marks = Edits(
                {Place(Section.SYSTEM, 0, 0): Mark("1h"), Place(Section.MESSAGES, 0, 0): Mark("5m")}
            )
            known = microseconds(500, lambda c=content, m=memo, d=dialect: read(d, c, m))
            new = microseconds(100, lambda c=content, d=dialect: read(d, c, PieceMemo()))
            same = microseconds(500, lambda r=request, d=dialect: d.write(r, Edits()))
            marked = microseconds(500, lambda r=request, e=marks, d=dialect: d.write(r, e))
            print(
                f"{dialect.name}: {len(content):6,} bytes, {messages} messages: "
                f"read remembered {known:6.1f} µs, new {new:7.1f} µs; "
                f"write unchanged {same:5.1f} µs, two marks {marked:5.1f} µs"
            )
        events = stream(dialect, 5_000)
        joined = [b"".join(events[n : n + 20]) for n in range(0, len(events), 20)]
        for name, chunks in (("one event a chunk", events), ("20 events a chunk", joined)):
            took_us = microseconds(3, lambda r=request, c=chunks, d=dialect: meter(d, r, c))
            print(f"{dialect.name}: {len(events) / took_us * 1e6:9,.0f} events/s, {name}")


if __name__ == "__main__":
    main()
