"""Tool results of a trace in each form: their tokens, and what later tool calls can still take from them.

python -m bench.tool_results [--trace FILE] [--tokens-max N]

Exits with 1 if the lossless form lost a value.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.policy.tool_results.codec import decode, encode
from bursar.policy.tool_results.limits import Limits, limit
from bursar.policy.tool_results.references import Earlier, refer
from bursar.policy.tool_results.retention import Shown, value_retention

_HANDLE = f"GET /v1/bursar/results/{'0' * 32}"

Form = Callable[[str], str]
Messages = list[dict[str, Any]]


def count(text: str) -> int:
    """Estimate tokens by bytes, as a core without a tokenizer does."""
    return len(text.encode("utf-8", "surrogatepass")) * 10 // 27


def minify(text: str) -> str:
    return decode(encode(text))


def refer_or_encode() -> Form:
    """Return the lossless form with references, for the results of one conversation in turn."""
    earlier: dict[bytes, Earlier] = {}
    ordinal = 0

    def show(text: str) -> str:
        nonlocal ordinal
        ordinal += 1
        encoded = encode(text)
        reference = refer(encoded, encoded.encode(), earlier)
        earlier.setdefault(encoded.encode(), Earlier("tool", ordinal))
        return reference or encoded

    return show


def measure(conversations: list[Messages], form_of: Callable[[], Form]) -> tuple[list[str], int, int]:
    """Return the results in one form, the values taken from them, and those that were lost."""
    sent: list[str] = []
    taken = lost = 0
    for messages in conversations:
        form = form_of()
        results: list[Shown] = []
        for message in messages:
            for call in message.get("tool_calls") or ():
                kept = value_retention(results, call["function"]["arguments"])
                taken += len(kept.taken)
                lost += len(kept.lost)
            if message["role"] == "tool":
                text = message["content"]
                results.append(Shown(text, form(text)))
        sent.extend(result.sent for result in results)
    return sent, taken, lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, default=Path("../shared/data/airline.jsonl"))
    parser.add_argument("--tokens-max", type=int, default=1_000, help="limit of the lossy form")
    options = parser.parse_args()
    with options.trace.open() as lines:
        conversations: list[Messages] = [json.loads(line)["messages"] for line in lines]
    limits = Limits(options.tokens_max)
    forms: Mapping[str, Callable[[], Form]] = {
        "as they came": lambda: str,
        "minified": lambda: minify,
        "lossless": lambda: encode,
        "lossless, references": refer_or_encode,
        f"lossy, {options.tokens_max:,} tokens": lambda: (
            lambda text: limit(text, limits, count, _HANDLE).text
        ),
    }
    tokenizer = SplintrTokenizer()
    baseline = 0
    print(f"{'form':24}{'tokens':>10}{'fewer':>9}{'taken':>8}{'lost':>6}{'retention':>11}")
    lost_by_form: dict[str, int] = {}
    for name, form_of in forms.items():
        sent, taken, lost = measure(conversations, form_of)
        tokens = sum(tokenizer.count(sent))
        baseline = baseline or tokens
        lost_by_form[name] = lost
        fewer, retention = 1 - tokens / baseline, 1 - lost / taken if taken else 1.0
        print(f"{name:24}{tokens:>10,}{fewer:>9.1%}{taken:>8,}{lost:>6,}{retention:>11.2%}")
    results = [message["content"] for each in conversations for message in each if message["role"] == "tool"]
    print(f"encoding takes {microseconds_per_4_kb(results):.0f} µs of CPU per 4 KB")
    sys.exit(1 if lost_by_form["lossless"] else 0)


def microseconds_per_4_kb(results: list[str]) -> float:
    size_bytes = sum(len(text.encode()) for text in results)
    best_s = float("inf")
    for _ in range(5):
        start_s = time.thread_time()
        for text in results:
            encode(text)
        best_s = min(best_s, time.thread_time() - start_s)
    return best_s / size_bytes * 4_096 * 1e6


if __name__ == "__main__":
    main()
