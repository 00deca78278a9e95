"""What all calls of one process share: data about the world, settings, and what was learned."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRuleBook, CacheRules
from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.calibration import Calibration
from bursar.domain.layout import Layout
from bursar.domain.price_book import PriceBook
from bursar.domain.scopes import ScopePattern
from bursar.domain.tokens import RatioBook
from bursar.domain.windows import WindowBook
from bursar.exchange.front_memo import FrontMemo
from bursar.exchange.history_memo import HistoryMemo
from bursar.exchange.pins import Pins
from bursar.exchange.rewriting import RewriteMemo
from bursar.policy.agent import PolicyBook
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.dearest import DearestTokens
from bursar.policy.budgets.standing import Room
from bursar.policy.budgets.worst_case import Caution, Maxima
from bursar.policy.routing.model import RouteModel
from bursar.policy.routing.tiers import TierBook
from bursar.view.beginnings import Beginnings
from bursar.view.lengths import ThreadLengths
from bursar.view.loop_watch import LoopWatch
from bursar.view.prefixes import SharedPrefixes
from bursar.view.rhythm import Rhythm, Trial
from bursar.view.routes import Gains, Seats
from bursar.view.survival import Survival
from bursar.view.threads import ThreadIndex
from bursar.wire.memo import PieceMemo

# Calls that arrived so many changes ago and have not been held yet count by the oldest that is known.
_REPLACED_MAX = 16

# How many lone questions are taken for the first of a conversation before anything is known.
_TRIED_CALLS = 5


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """How calls to one provider are made.

    Attributes:
        base_url: What its prompt caches are keyed by, beside account and model.
        timeout_s: How long one attempt may take.
        deadline_s: How long a call may take, its retries included.
        retries_max: Further attempts after one that failed before anything reached the client.
    """

    base_url: str
    timeout_s: float = 600.0
    deadline_s: float = 900.0
    retries_max: int = 2


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The operator's settings, as far as calls are concerned.

    Attributes:
        mode: Where a call does not say its own.
        admit_unpriced: Whether a model without a price may be called, at unknown cost.
        routing_tasks: Tasks whose calls count as the component `routing`.
        holdout_per_mille: Share of conversations that are left as they came.
        policies: What is set for each agent.
        caution: How the most that a call can take is worked out.
        admit_unheld: Whether calls are made while the budget store fails.
        upstreams: How calls are made, by name of the provider section.
        tiers: Which models may stand for each other.
    """

    upstreams: Mapping[str, UpstreamPolicy]
    mode: str = "optimise"
    admit_unpriced: bool = False
    routing_tasks: frozenset[str] = frozenset()
    holdout_per_mille: int = 0
    policies: PolicyBook = field(default_factory=PolicyBook)
    caution: Caution = field(default_factory=Caution)
    admit_unheld: bool = False
    tiers: TierBook = field(default_factory=TierBook)


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned about which calls need a stronger model.

    Attributes:
        model: The model that judges them.
        threshold: From which score on they do.
    """

    model: RouteModel
    threshold: float


@dataclass(slots=True)
class Engine:
    """The shared state of all exchanges in a process. Not thread-safe.

    Attributes:
        options: The operator's settings.
        prices: Price book.
        rules: How prompt caches behave.
        ratios: Token ratios.
        windows: How long prompts and answers may be.
        memo: Pieces of requests already read.
        calibration: Our token estimates against the providers' counts.
        calibrated_rules: Cache rules in our own count, by model and calibration.
        threads: Threads that are known.
        layouts: Last prompts, laid out, by the start of their thread; and of an agent's account, by scope.
        rhythm: How soon threads go on.
        lone_trial: The lone questions that are taken for the first of a conversation. To be wrong about them
            costs little either way, a write each; but a thread that goes on loses more by what was not
            written than one-shot calls lose by what was. All tenants and agents share the trial: what each
            would spend on its own adds up.
        prefixes: How often shared prefixes come.
        survival: How often what was sent still stands at the next call.
        beginnings: What long texts begin with, and where they are split.
        sent: The providers' caches, as what was sent leaves them.
        as_sent: A shadow of them, fed with the traffic as clients made it: what the baseline reads.
        planned: For calls in observe mode: as they would be, had the plan gone out.
        rewritten: Tool results that were shortened.
        history: What was done to threads' histories.
        fronts: How threads' tools and instructions are sent.
        pins: The settings that threads began with.
        lengths: How long threads become, of agents whose history may be rewritten.
        loops: How far conversations repeat themselves, and which were stopped for it.
        maxima: What providers add to what a request shows, by dialect.
        dearest: What tokens can cost at most.
        budgets: The budgets in force. An operator may have them replaced at any time,
        stops: and what was stopped.
        replaced: Budgets that were in force before, by the time until which they were, the oldest first.
        rooms: What was last seen to be left of the limits that calls fall under, by whom they are for.
        learned: What was learned about which calls need a stronger model; None for nothing.
        seats: Where threads' calls went, of those that are routed.
        gains: What routing has come to.
        routed_lengths: How long threads become, of agents whose calls are routed.
    """

    options: EngineOptions
    prices: PriceBook
    rules: CacheRuleBook
    ratios: RatioBook
    windows: WindowBook = field(default_factory=WindowBook)
    memo: PieceMemo = field(default_factory=PieceMemo)
    calibration: Calibration = field(default_factory=Calibration)
    calibrated_rules: BoundedDict[Hashable, CacheRules] = field(
        default_factory=lambda: BoundedDict[Hashable, CacheRules](4096)
    )
    threads: ThreadIndex = field(default_factory=ThreadIndex)
    layouts: WeighedDict[bytes, Layout] = field(
        # One block takes about 0.15 KB.
        default_factory=lambda: WeighedDict[bytes, Layout](400_000, lambda layout: 1 + len(layout.chain))
    )
    rhythm: Rhythm = field(default_factory=Rhythm)
    lone_trial: Trial = field(default_factory=lambda: Trial(_TRIED_CALLS))
    prefixes: SharedPrefixes = field(default_factory=SharedPrefixes)
    survival: Survival = field(default_factory=Survival)
    beginnings: Beginnings = field(default_factory=Beginnings)
    sent: ProviderCache = field(default_factory=ProviderCache)
    as_sent: ProviderCache = field(default_factory=ProviderCache)
    planned: ProviderCache = field(default_factory=ProviderCache)
    rewritten: RewriteMemo = field(default_factory=RewriteMemo)
    history: HistoryMemo = field(default_factory=HistoryMemo)
    fronts: FrontMemo = field(default_factory=FrontMemo)
    pins: Pins = field(default_factory=Pins)
    lengths: ThreadLengths = field(default_factory=ThreadLengths)
    loops: LoopWatch = field(default_factory=LoopWatch)
    maxima: Mapping[str, Maxima] = field(default_factory=dict[str, Maxima])
    dearest: DearestTokens = field(default_factory=DearestTokens)
    budgets: BudgetBook = field(default_factory=BudgetBook)
    stops: frozenset[ScopePattern] = frozenset()
    replaced: tuple[tuple[float, BudgetBook], ...] = ()
    rooms: BoundedDict[Hashable, Room] = field(default_factory=lambda: BoundedDict[Hashable, Room](50_000))
    learned: Learned | None = None
    seats: Seats = field(default_factory=Seats)
    gains: Gains = field(default_factory=Gains)
    routed_lengths: ThreadLengths = field(default_factory=ThreadLengths)

    def budgets_at(self, at_s: float) -> BudgetBook:
        """Return the budgets that count for a call by when it arrived.

        So a call is counted by one book from its beginning to its end, and what a new one has to take over
        from the ledger is all that arrived before it.
        """
        return next((book for until_s, book in self.replaced if at_s < until_s), self.budgets)

    def forget(self, tenant: str) -> None:
        """Forget what is held of a tenant in words: names, summaries, texts.

        Digests stay until they are forgotten by themselves; texts of others that are known by digest alone
        are forgotten with the tenant's, and worked out again.
        """
        self.loops.forget(tenant)
        self.history.forget(tenant)
        self.rewritten.clear()
        self.fronts.forget_texts()
        self.rooms.clear()

    def replace_budgets(self, book: BudgetBook, from_s: float | None = None) -> None:
        """Put other budgets in force.

        Args:
            book: The budgets.
            from_s: They count for the calls that arrive from then on, which may be still to come: never
                before the `from_s` of an earlier change. None where they count nothing that those in force
                do not: then they hold at once.
        """
        if from_s is not None:
            self.replaced = (*self.replaced, (from_s, self.budgets))[-_REPLACED_MAX:]
        self.budgets = book
        # What was left of the limits before says nothing about these.
        self.rooms.clear()
