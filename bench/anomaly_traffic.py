"""A month of calls such as an airline's agents make, seeded, with anomalies put into it."""

import json
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Attempt, CostBasis, Entry, Status
from bursar.domain.prices import Terms
from bursar.domain.usage import Usage

START_S = 1_790_208_000.0  # A Thursday, midnight UTC.
DAY_S = 86_400.0
KINDS = ("10x calls", "a loop", "prompt growth", "new expensive model", "cache stops hitting")
LASTS_S = 1_200.0

# The share of the recorded hour's calls that come, by hour of the day and by day from Monday.
_BY_HOUR = (8, 6, 5, 5, 6, 10, 20, 40, 65, 85, 95, 100, 95, 95, 100, 95, 90, 80, 70, 60, 45, 30, 20, 12)
_BY_DAY = (100, 95, 95, 95, 100, 60, 50)
_THURSDAY = 3

_SYSTEM_TOKENS = 4_000
_GROWN_TIMES = 3
_TURNS = 12
_TURN_GAP_S = 45.0
_KEPT_S = 300.0
_LOOP_GAP_S = 1.5

# Nanodollars a token: input, read, write, output. Sonnet 4.6 and Opus 4 (the 5 minute write).
_USUAL = (3_000, 300, 3_750, 15_000)
_DEAR = (15_000, 1_500, 18_750, 75_000)

_NO_TERMS = Terms()
_ATTEMPT = (
    Attempt("a/1", "m", "anthropic", 0.0, 900, 200, Status.OK, Usage(), _NO_TERMS, (), CostBasis.MEASURED),
)


@dataclass(frozen=True, slots=True)
class Injected:
    """One anomaly.

    Attributes:
        kind: One of `KINDS`.
        tenant: Whose calls it is in.
        at_s: When it begins.
    """

    kind: str
    tenant: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Month:
    """What is asked for.

    Attributes:
        arrivals: File of the recorded hour.
        days: How long it goes on.
        share: The share of the recorded calls that come at the busiest hour.
        each: How many anomalies of each kind; from the ninth day on, by day.
        seed: Seed.
    """

    arrivals: Path
    days: int
    share: float
    each: int
    seed: int


@dataclass(slots=True)
class _Conversation:
    name: str
    tokens: int = _SYSTEM_TOKENS
    cached_tokens: int = 0
    last_s: float = 0.0


@cache
def _recorded(file: Path) -> tuple[tuple[float, int, int], ...]:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return tuple((row["at_s"], row["input_tokens"], row["output_tokens"]) for row in rows)


def choose(month: Month, tenant: str) -> list[Injected]:
    """Choose when anomalies begin: from the ninth day on, between 8 and 19, never two close together."""
    draw = random.Random(f"{month.seed} {tenant} anomalies")  # noqa: S311 - load, not a secret
    kinds = [kind for kind in KINDS for _ in range(month.each)]
    draw.shuffle(kinds)
    slots = [(day, hour) for day in range(9, month.days) for hour in (8, 13, 17)]
    chosen = sorted(draw.sample(slots, len(kinds)))
    return [
        Injected(kind, tenant, START_S + day * DAY_S + hour * 3600 + draw.uniform(0, 5_400))
        for kind, (day, hour) in zip(kinds, chosen, strict=True)
    ]


class Tenant:
    """One tenant's month.

    Args:
        month: What is asked for.
        name: The tenant.
        injected: The anomalies in it.
    """

    def __init__(self, month: Month, name: str, injected: Sequence[Injected]) -> None:
        self._month = month
        self._name = name
        self._injected = injected
        self._begins = [each.at_s for each in injected]
        self._draw = random.Random(f"{month.seed} {name}")  # noqa: S311 - load, not a secret
        self._numbers = count(1)
        self._open: list[_Conversation] = []
        self._system_s = self._calls_per_s = 0.0
        self._loop: _Conversation | None = None

    def entries(self) -> Iterator[Entry]:
        """Yield its calls, in order."""
        for hour in range(24 * self._month.days):
            yield from self._hour(hour)

    def _hour(self, hour: int) -> Iterator[Entry]:
        begins_s = START_S + 3600.0 * hour
        weight = _BY_HOUR[hour % 24] * _BY_DAY[(_THURSDAY + hour // 24) % 7] / 10_000 * self._month.share
        arrivals: list[tuple[float, int, int, bool]] = []
        for at_s, input_tokens, output_tokens in _recorded(self._month.arrivals):
            now_s = begins_s + at_s
            anomaly = self._anomaly(now_s)
            wanted = weight * (10 if anomaly == "10x calls" else 1)
            times = int(wanted) + (self._draw.random() < wanted % 1)
            arrivals += [(now_s + 0.1 * n, input_tokens, output_tokens, False) for n in range(times)]
        for injected in self._injected:
            if injected.kind == "a loop" and begins_s <= injected.at_s < begins_s + 3600:
                steps = int(LASTS_S / _LOOP_GAP_S)
                arrivals += [(injected.at_s + _LOOP_GAP_S * n, 300, 60, True) for n in range(steps)]
        arrivals.sort()
        self._calls_per_s = weight * len(_recorded(self._month.arrivals)) / 3600
        for arrival in arrivals:
            yield self._entry(*arrival)

    def _anomaly(self, at_s: float) -> str:
        place = bisect_right(self._begins, at_s) - 1
        if place < 0 or at_s >= self._begins[place] + LASTS_S:
            return ""
        return self._injected[place].kind

    def _entry(self, at_s: float, input_tokens: int, output_tokens: int, looping: bool) -> Entry:  # noqa: FBT001 - a row
        anomaly = self._anomaly(at_s)
        talk = self._conversation(at_s, looping=looping)
        talk.tokens += input_tokens
        prompt = talk.tokens * (_GROWN_TIMES if anomaly == "prompt growth" else 1)
        read = 0
        if anomaly != "cache stops hitting":
            if at_s - talk.last_s < _KEPT_S:
                read = talk.cached_tokens
            elif at_s - self._system_s < _KEPT_S:
                read = _SYSTEM_TOKENS
        read = min(read, prompt)
        self._system_s = talk.last_s = at_s
        talk.cached_tokens = prompt
        talk.tokens += output_tokens
        usage = Usage(input=0, cache_read=read, cache_write_5m=prompt - read, output=output_tokens)
        dear = anomaly == "new expensive model" and self._draw.random() < 0.5
        _, read_price, write_price, output_price = _DEAR if dear else _USUAL
        nusd = read * read_price + (prompt - read) * write_price + output_tokens * output_price
        model = f"claude-dear-{int(self._begins[bisect_right(self._begins, at_s) - 1])}" if dear else "claude"
        return self._write(at_s, talk.name, model, usage, nusd)

    def _conversation(self, at_s: float, *, looping: bool) -> _Conversation:
        if looping:
            if self._loop is None or at_s - self._loop.last_s > _KEPT_S:
                self._loop = _Conversation(f"{self._name}-loop-{int(at_s)}")
            return self._loop
        talks = self._open
        if not talks or self._draw.random() < 1 / _TURNS:
            talk = _Conversation(f"{self._name}-c{next(self._numbers)}")
            talks.append(talk)
            # Each goes on every so often, so that the more calls come the more go on at once.
            calls_per_s = self._calls_per_s * (10 if self._anomaly(at_s) == "10x calls" else 1)
            while len(talks) > max(2.0, calls_per_s * _TURN_GAP_S):
                talks.remove(self._draw.choice(talks[:-1]))
            return talk
        return talks[self._draw.randrange(len(talks))]

    def _write(self, at_s: float, conversation: str, model: str, usage: Usage, nusd: int) -> Entry:
        return Entry(
            operation_id=f"{self._name}-{next(self._numbers)}",
            at_s=at_s,
            attribution=Attribution(self._name, "airline-support", "customer_support", conversation),
            dialect="anthropic.messages",
            model=model,
            mode="optimise",
            stream=False,
            status=Status.OK,
            http_status=200,
            latency_ms=900,
            overhead_us=200,
            thread=conversation,
            turn=0,
            attempts=_ATTEMPT,
            usage=usage,
            components={},
            cost_nusd=nusd,
            cost_max_nusd=nusd,
            baseline_nusd=nusd,
            shares={},
            basis=CostBasis.MEASURED,
        )
