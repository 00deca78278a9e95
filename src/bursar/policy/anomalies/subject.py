"""All that is watched of one agent and task of a tenant."""

from collections import deque
from collections.abc import Iterable, Iterator
from math import exp, log

import msgspec

from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.domain.bounded import BoundedDict
from bursar.domain.ledger import Entry
from bursar.policy.anomalies.baseline import Departure
from bursar.policy.anomalies.conversations import Conversations
from bursar.policy.anomalies.rate import Rate
from bursar.policy.anomalies.series import Series

Key = tuple[str, str, str]
"""Tenant, agent and task."""

# So many calls of so many conversations make one value: few enough for a minute, enough that neither a single
# call nor a single conversation counts for much. At night, a few conversations make a value all the same.
_BLOCK_CALLS = 10
_BLOCK_CONVERSATIONS = 5
_BLOCK_CALLS_MAX = 100
_DRIVERS = 5
_MODELS_MAX = 64

# A new model is judged from so many calls on: sooner, from its second call on, where these have cost already
# what would be told of that many. At night, five calls take longer than anybody should wait. Its first calls
# may happen to be short ones, so that it counts as known only after a few more.
_NEW_MODEL_CALLS = 5
_KNOWN_MODEL_CALLS = 25
_NEW_MODEL_TIMES = 2
_PER_MILLE = 1_000

# Half as much again, on a logarithm's scale; of what is not read from the cache, a fifth of all tokens.
_RISE_MIN = log(1.5)
_MISSES_RISE_MIN = 0.2
_SPREAD_MIN = 0.05


class _Call(msgspec.Struct, frozen=True, gc=False):
    operation_id: str
    conversation: str
    nusd: int
    at_s: float


class _Model(msgspec.Struct, gc=False):
    """Calls of one model. Mutable."""

    began_s: float
    is_known: bool
    calls: int = 0
    nusd: int = 0


class _Block(msgspec.Struct, gc=False):
    """Sums over the calls of an unfinished block. Mutable."""

    calls: int = 0
    nusd: int = 0
    prompt_tokens: int = 0
    read_tokens: int = 0
    output_tokens: int = 0
    conversations: set[str] = msgspec.field(default_factory=set[str])

    @property
    def is_full(self) -> bool:
        """Whether it says something."""
        if self.calls < _BLOCK_CALLS:
            return False
        return len(self.conversations) >= _BLOCK_CONVERSATIONS or self.calls >= _BLOCK_CALLS_MAX


class Subject:
    """What is usual of one subject, and what is not.

    Args:
        key: Who it is.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._series = {
            AnomalyKind.CACHE_MISSES: Series(_SPREAD_MIN, _MISSES_RISE_MIN),
            AnomalyKind.PROMPT: Series(_SPREAD_MIN, _RISE_MIN),
            AnomalyKind.OUTPUT: Series(_SPREAD_MIN, _RISE_MIN),
            AnomalyKind.COST_PER_CALL: Series(_SPREAD_MIN, _RISE_MIN),
        }
        self._rate = Rate()
        self._conversations = Conversations()
        self._models: BoundedDict[str, _Model] = BoundedDict(_MODELS_MAX)
        self._recent: deque[_Call] = deque(maxlen=4 * _BLOCK_CALLS)
        self._block = _Block()
        self._calls = self._nusd = 0
        self.found: list[Anomaly] = []
        """What was found since the last time that it was asked for."""

    @property
    def nusd_per_hour(self) -> int:
        """What it spends in an hour, by the last minute."""
        return self._rate.nusd_per_hour

    def see(self, entry: Entry, factor: float) -> None:
        """Take a call that was made upstream."""
        usage, nusd, at_s = entry.usage, entry.cost_nusd, entry.at_s
        self._calls += 1
        if nusd is None or usage is None:
            # Unknown is not zero: it says nothing about what a call costs.
            return
        self._nusd += nusd
        conversation = entry.attribution.conversation
        self._recent.append(_Call(entry.operation_id, conversation, nusd, at_s))
        found = self._conversations.see(conversation, nusd, at_s)
        if found is not None:
            aspect, departure = found
            kind = AnomalyKind.CONVERSATION if aspect == "pace" else AnomalyKind.CONVERSATION_COST
            scale = _PER_MILLE if aspect == "pace" else 1
            self._find(kind, _scaled(departure, scale), at_s, conversation=conversation)
        self._see_model(entry.model, nusd, at_s)
        block = self._block
        block.calls += 1
        block.nusd += nusd
        block.prompt_tokens += usage.prompt_tokens
        block.read_tokens += usage.cache_read
        block.output_tokens += usage.output + usage.reasoning
        block.conversations.add(conversation)
        if block.is_full:
            self._block = _Block()
            self._close(block, at_s, factor)

    def judge(self, now_s: float, factor: float) -> list[Anomaly]:
        """Return what is not as usual, found since the last time."""
        departure = self._rate.see(self._calls, self._nusd, now_s, factor)
        self._calls = self._nusd = 0
        if departure is not None:
            self._find(AnomalyKind.CALLS, _scaled(departure, _PER_MILLE), now_s)
        found, self.found = self.found, []
        return found

    def take_back(self, found: Iterable[Anomaly]) -> None:
        """Find again, if it goes on, what nobody was told of since too little was spent.

        Whatever runs away is cheap at first. A new model is left to what a call costs.
        """
        for anomaly in found:
            if anomaly.kind is AnomalyKind.CALLS:
                self._rate.take_back()
            elif anomaly.kind in self._series:
                self._series[anomaly.kind].take_back()
            elif anomaly.conversation:
                self._conversations.take_back(anomaly.conversation)

    def learn(self, now_s: float, factor: float) -> None:
        """Learn what has ended: every minute or so."""
        self._conversations.learn(now_s, factor)

    def _close(self, block: _Block, at_s: float, factor: float) -> None:
        for kind, value in _values(block):
            departure = self._series[kind].see(value, at_s, factor)
            if departure is None:
                continue
            if kind is AnomalyKind.CACHE_MISSES:
                self._find(kind, _scaled(departure, _PER_MILLE), at_s)
            else:
                usual, seen = exp(departure.baseline), exp(departure.observed)
                self._find(kind, Departure(usual, seen, departure.since_s), at_s)

    def _see_model(self, name: str, nusd: int, at_s: float) -> None:
        costs = self._series[AnomalyKind.COST_PER_CALL].baseline
        model = self._models.get(name)
        if model is None:
            model = _Model(at_s, is_known=not costs.is_learned(at_s))
            self._models.keep(name, model)
        if model.is_known:
            return
        model.calls += 1
        model.nusd += nusd
        usual = exp(costs.expect(at_s))
        is_dear = model.calls > 1 and model.nusd >= _NEW_MODEL_CALLS * _NEW_MODEL_TIMES * usual
        if model.calls < _NEW_MODEL_CALLS and not is_dear:
            return
        each = model.nusd / model.calls
        is_told = each >= _NEW_MODEL_TIMES * usual
        model.is_known = is_told or model.calls >= _KNOWN_MODEL_CALLS
        if is_told:
            self._find(AnomalyKind.NEW_MODEL, Departure(usual, each, model.began_s), at_s, model=name)

    def _find(
        self, kind: AnomalyKind, departure: Departure, at_s: float, *, conversation: str = "", model: str = ""
    ) -> None:
        tenant, agent, task = self._key
        anomaly = Anomaly(
            kind=kind,
            tenant=tenant,
            agent=agent,
            task=task,
            baseline=round(departure.baseline),
            observed=round(departure.observed),
            since_s=departure.since_s,
            found_at_s=at_s,
            calls=self._drivers(departure.since_s, conversation),
            conversation=conversation,
            model=model,
        )
        self.found.append(anomaly)

    def _drivers(self, since_s: float, conversation: str) -> tuple[str, ...]:
        """Return the calls that cost most since then, of one conversation or all."""
        calls = [c for c in self._recent if c.at_s >= since_s and conversation in {"", c.conversation}]
        calls.sort(key=lambda call: call.nusd, reverse=True)
        return tuple([call.operation_id for call in calls[:_DRIVERS]])


def _scaled(departure: Departure, scale: int) -> Departure:
    """Return a departure in a unit so many times finer."""
    return Departure(departure.baseline * scale, departure.observed * scale, departure.since_s)


def _values(block: _Block) -> Iterator[tuple[AnomalyKind, float]]:
    """Yield what a block says, each on its scale; what it says nothing about is left out."""
    if block.prompt_tokens > 0:
        yield AnomalyKind.CACHE_MISSES, 1.0 - block.read_tokens / block.prompt_tokens
        yield AnomalyKind.PROMPT, log(block.prompt_tokens / block.calls)
    if block.output_tokens > 0:
        yield AnomalyKind.OUTPUT, log(block.output_tokens / block.calls)
    if block.nusd > 0:
        yield AnomalyKind.COST_PER_CALL, log(block.nusd / block.calls)
