"""What the pure core of a call costs, driven with made-up results: µs of processor time per call.

- Re-sent: bodies of 1 KB and 30 KB, of 2,000 conversations in turn.
- Growing: one conversation, its whole history re-sent at every turn; turn 50 beside turn 500, less what
  splitting the body's JSON takes, with the ratio.

The best batch counts: whatever else the machine does can only slow one down.

    python -m bench.exchange
"""

import json
import random
import time
from collections.abc import Callable, Sequence

from bench.conversations import bodies, text
from bench.stub import ANSWER, MESSAGE
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.effects import Count, Keep, LookUp, Record, Send, Shorten, Times, Whole
from bursar.exchange.arrival import Arrival
from bursar.exchange.life import live
from bursar.policy.tool_results.shortening import shorten
from bursar.settings import Settings
from bursar.wire import raw_json
from bursar.wiring.engine import build_engine

_HEADERS = {"x-api-key": "bench"}
_BATCHES, _BATCH_CALLS = 60, 50
_TURNS, _WINDOW = (50, 500), 10
_GROWING = 3


class _Driver:
    """Answers an exchange's effects at once."""

    def __init__(self) -> None:
        self._engine = build_engine(Settings())
        self._tokenizer = SplintrTokenizer()
        self._now_s = 1.79e9
        self._calls = 0

    def call(self, body: bytes) -> None:
        """Live one call."""
        self._calls += 1
        self._now_s += 0.001
        now_s = self._now_s
        arrival = Arrival(
            operation_id=f"op-{self._calls}",
            at_s=now_s,
            dialect="anthropic.messages",
            upstream="anthropic",
            path="/v1/messages",
            headers=_HEADERS,
            outgoing=_HEADERS,
            body=body,
            credential=b"c" * 16,
        )
        life = live(self._engine, arrival)
        result: object = None
        while True:
            try:
                effect = life.send(result)
            except StopIteration:
                return
            match effect:
                case Count(texts):
                    result = self._tokenizer.count(texts)
                case Shorten(jobs):
                    result = [shorten(job, lambda text: len(text) // 4) for job in jobs]
                case Send(begun=begun):
                    begun(now_s)
                    headers = {"content-type": "application/json"}
                    result = Whole(200, headers, MESSAGE, Times(now_s, now_s + 0.1))
                case LookUp():
                    result = None
                case Keep() | Record():
                    result = True
                case _:
                    raise SystemExit(f"unexpected {effect}")


def _best_us(act: Callable[[bytes], object], given: Sequence[bytes]) -> float:
    """Return the best time per body over batches."""
    best = float("inf")
    for batch in range(_BATCHES):
        chosen = [given[(batch * _BATCH_CALLS + i) % len(given)] for i in range(_BATCH_CALLS)]
        start = time.perf_counter()
        for body in chosen:
            act(body)
        best = min(best, (time.perf_counter() - start) / _BATCH_CALLS * 1e6)
    return best


def _turns(number: int) -> list[bytes]:
    """Return one conversation's bodies, turn by turn, each with the whole history."""
    draw = random.Random(number)  # noqa: S311 - test text, not a secret
    messages: list[dict[str, str]] = []
    turns: list[bytes] = []
    for turn in range(_TURNS[-1] + 1):
        messages.append({"role": "user", "content": f"{number}.{turn}: {text(draw, 600)}"})
        request = {"model": "claude-sonnet-4-6", "max_tokens": 500, "system": "You help travellers."}
        turns.append(json.dumps({**request, "messages": messages}).encode())
        messages.append({"role": "assistant", "content": ANSWER})
    return turns


def _timed_us(act: Callable[[bytes], object], body: bytes) -> float:
    start = time.perf_counter()
    act(body)
    return (time.perf_counter() - start) * 1e6


def _split(body: bytes) -> None:
    """Do what no reader of a body can do without: find its messages."""
    raw_json.read_array(raw_json.read_body(body)["messages"], "messages")


def _grow() -> dict[int, float]:
    """Return µs per call by turn, JSON aside."""
    best = dict.fromkeys(_TURNS, float("inf"))
    driver = _Driver()
    for number in range(_GROWING):
        for turn, body in enumerate(_turns(number)):
            whole_us = _timed_us(driver.call, body)
            for measured in _TURNS:
                if measured - _WINDOW < turn <= measured:
                    json_us = min(_timed_us(_split, body) for _ in range(3))
                    best[measured] = min(best[measured], whole_us - json_us)
    return best


def main() -> None:
    for size_bytes in (1_000, 30_000):
        driver, given = _Driver(), bodies(size_bytes)
        for body in given:
            driver.call(body)
        print(f"re-sent {size_bytes:6,} bytes: {_best_us(driver.call, given):6.1f} µs a call")
    early_us, late_us = _grow().values()
    print(
        f"growing, JSON aside: turn {_TURNS[0]} {early_us:6.1f} µs, turn {_TURNS[1]} {late_us:6.1f} µs, "
        f"ratio {late_us / early_us:.2f}"
    )


if __name__ == "__main__":
    main()
