"""Request bodies of many conversations, for load tests: seeded, of a wanted size."""

import json
import random

_WORDS = """
    reservation flight economy baggage refund customer policy payment gold member cancel change seat date
    confirm details certificate insurance passenger airport segment total amount please thank
""".split()  # noqa: SIM905 - a text of words reads better than a column of them


def bodies(size_bytes: int, conversations: int = 2000, *, model: str = "claude-sonnet-4-6") -> list[bytes]:
    """Return one request body per conversation, each of about the same size, all different."""
    draw = random.Random(size_bytes)  # noqa: S311 - test text, not a secret
    return [_body(draw, number, size_bytes, model) for number in range(conversations)]


def _body(draw: random.Random, number: int, size_bytes: int, model: str) -> bytes:
    messages: list[object] = [{"role": "user", "content": f"case {number}: {text(draw, 120)}"}]
    size = 400
    while size < size_bytes:
        call = f"toolu_{number}_{len(messages)}"
        answer = text(draw, 200)
        result = json.dumps(
            {"id": call, "status": "ok", "notes": text(draw, 700), "price": draw.randint(1, 999)}
        )
        messages += [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": answer},
                    {"type": "tool_use", "id": call, "name": "look_up", "input": {"case": number}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": result}]},
        ]
        size += 200 + len(answer) + len(result) + 120
    tools = [{"name": "look_up", "description": "Look a case up.", "input_schema": {"type": "object"}}]
    return json.dumps(
        {
            "model": model,
            "max_tokens": 500,
            "system": "You help travellers.",
            "tools": tools,
            "messages": messages,
        }
    ).encode()


def text(draw: random.Random, length: int) -> str:
    """Return words of at least some length together."""
    words: list[str] = []
    size = 0
    while size < length:
        word = draw.choice(_WORDS)
        words.append(word)
        size += len(word) + 1
    return " ".join(words)
