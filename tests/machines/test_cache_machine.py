"""The Anthropic cache against a model of its rules, with time, marks, slow responses and evictions."""

from itertools import accumulate
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.prompt import Mark
from bursar.domain.usage import TokenClass

MINIMUM, LOOKBACK = 100, 2
LIFE_S = {"5m": 300, "1h": 3600}
RULES = CacheRules(
    model="m",
    kind=CacheKind.ANTHROPIC,
    minimum_tokens=MINIMUM,
    minimum_assumed=False,
    ttls_s=LIFE_S,
    write_classes={"5m": TokenClass.CACHE_WRITE_5M, "1h": TokenClass.CACHE_WRITE_1H},
    default_ttl="5m",
    marks_max=4,
    lookback_blocks=LOOKBACK,
)


class Row(NamedTuple):
    chain: tuple[bytes, ...]
    ends: tuple[int, ...]
    message_ends: tuple[int, ...] = ()


class Sent(NamedTuple):
    """A call whose response has not begun: what the cache said, and what the model expects to be kept."""

    prefixes: Row
    outcome: CacheOutcome
    kept: dict[bytes, str]


def prompt(letters: str) -> Row:
    chain = tuple(letters[: i + 1].encode() for i in range(len(letters)))
    return Row(chain, tuple(accumulate(25 + ord(letter) - 97 for letter in letters)))


# Two families that fork after a few blocks: calls meet each other's entries more often than not.
LETTERS = st.builds(lambda trunk, branch: "a" * trunk + "b" * branch, st.integers(4, 6), st.integers(0, 2))


@st.composite
def marked(draw: st.DrawFn) -> tuple[Row, dict[int, Mark]]:
    row = prompt(draw(LETTERS))
    at = st.integers(0, len(row.chain) - 1)
    hours = draw(st.sets(at, max_size=2))
    shorts = draw(st.sets(at, max_size=2))
    return row, dict.fromkeys(shorts, Mark("5m")) | dict.fromkeys(hours, Mark("1h"))


class CacheMachine(RuleBasedStateMachine):
    calls: Bundle[Sent] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.cache = ProviderCache()
        self.now_s = 0.0
        # The model: time to live and death of each entry, by prefix.
        self.ttl: dict[bytes, str] = {}
        self.dies_s: dict[bytes, float] = {}

    def alive(self, name: bytes) -> bool:
        return self.dies_s.get(name, 0) > self.now_s

    @rule(wait_s=st.sampled_from([1, 299, 300, 3599]))
    def wait(self, wait_s: int) -> None:
        self.now_s += wait_s

    @rule(target=calls, call=marked())
    def send(self, call: tuple[Row, dict[int, Mark]]) -> Sent:
        row, marks = call
        usable = sorted(i for i in marks if row.ends[i] >= MINIMUM)
        hits = [
            i
            for mark in usable
            for i in range(max(0, mark - LOOKBACK), mark + 1)
            if row.ends[i] >= MINIMUM and self.alive(row.chain[i])
        ]
        hit = max(hits, default=None)
        read = 0 if hit is None else row.ends[hit]
        hour_end = max((row.ends[i] for i in usable if marks[i].ttl == "1h"), default=0)
        last_end = max((row.ends[i] for i in usable), default=0)
        hour = max(0, hour_end - read)
        short = max(0, last_end - max(read, hour_end))

        outcome = self.cache.look(row, marks, RULES, self.now_s)
        assert outcome.hit == hit
        assert outcome.read_tokens == read
        assert outcome.writes.get(TokenClass.CACHE_WRITE_1H, 0) == hour
        assert outcome.writes.get(TokenClass.CACHE_WRITE_5M, 0) == short
        assert outcome.input_tokens == row.ends[-1] - read - hour - short

        past = -1 if hit is None else hit
        used = {i for i in usable if i <= past and self.alive(row.chain[i])} | (
            {hit} if hit is not None else set()
        )
        kept = {row.chain[i]: self.ttl[row.chain[i]] for i in used}
        return Sent(row, outcome, kept | {row.chain[i]: marks[i].ttl for i in usable if i > past})

    @rule(sent=consumes(calls))
    def begin(self, sent: Sent) -> None:
        self.cache.keep(sent.prefixes, sent.outcome, RULES, self.now_s)
        for name, ttl in sent.kept.items():
            longest = max(ttl, self.ttl[name] if self.alive(name) else ttl, key=LIFE_S.__getitem__)
            self.ttl[name] = longest
            self.dies_s[name] = self.now_s + LIFE_S[longest]

    @rule(letters=LETTERS)
    def evict(self, letters: str) -> None:
        row = prompt(letters)
        self.cache.evict(row)
        for name in row.chain:
            self.dies_s.pop(name, None)

    @invariant()
    def lives_what_the_model_says(self) -> None:
        for name, dies_s in self.dies_s.items():
            entry = self.cache.entry(name, self.now_s)
            if self.alive(name):
                assert entry is not None
                assert (entry.expires_s, entry.ttl) == (dies_s, self.ttl[name])
            else:
                assert entry is None


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
