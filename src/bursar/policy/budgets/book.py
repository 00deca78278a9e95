"""The budgets in force, and what a call asks of them."""

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bursar.domain.bounded import BoundedDict
from bursar.domain.budgets import Budget
from bursar.domain.calendars import Calendar, Windows
from bursar.domain.reservations import Counter, Demand, Period, Reservation, Throttle, Unit
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern, patterns_of, read_scope, scopes_of
from bursar.policy.budgets.claims import Amounts, Claim, Claimant, Form, number_units

_EVERYWHERE = Calendar()

# What is counted of every call, by scope, whether or not something is limited: what alerts, forecasts and
# dashboards look back on.
_COUNTED = frozenset({ScopeKind.TENANT, ScopeKind.AGENT})
_COUNTED_PERIODS = (Period.HOUR, Period.DAY)

_HOUR_S = 3600
_DAY_S = 86_400
_FORMS_MAX = 8192


class _Part(msgspec.Struct, frozen=True, gc=False):
    """What calls ask of one scope; fields as in `Form`."""

    demands: tuple[Demand, ...]
    budgets: tuple[Budget | None, ...]
    throttles: tuple[Throttle, ...]
    throttling: tuple[Budget, ...]
    from_s: float
    until_s: float


class BudgetBook:
    """Budgets, by scope. What it costs to ask does not grow with their number. Not thread-safe.

    Args:
        budgets: All of them. Of two with the same pattern, unit and period the first counts.
    """

    def __init__(self, budgets: Iterable[Budget] = ()) -> None:
        self.budgets = tuple(budgets)
        self._by_pattern: dict[ScopePattern, list[Budget]] = {}
        for budget in self.budgets:
            self._by_pattern.setdefault(budget.pattern, []).append(budget)
        self._kinds = frozenset(pattern.kind for pattern in self._by_pattern)
        # Without these, windows would be worked out at every call. Forms are put together from parts, each of
        # one scope.
        self._forms = BoundedDict[tuple[str, ...], Form](_FORMS_MAX)
        self._parts = BoundedDict[Scope, _Part](_FORMS_MAX)
        self._windows = Windows()

    def of(self, scope: Scope) -> tuple[Budget, ...]:
        """Return the budgets that count for a scope: of each unit and period the most particular."""
        found: dict[tuple[Unit, Period], Budget] = {}
        if scope.kind in self._kinds:
            for pattern in patterns_of(scope):
                for budget in self._by_pattern.get(pattern, ()):
                    found.setdefault((budget.unit, budget.period), budget)
        return tuple(found.values())

    def counter(self, budget: Budget, scope: Scope, at_s: float) -> Counter:
        """Return the counter of a budget for one of its scopes, in the window that holds a moment."""
        window = self._windows.of(budget.calendar, budget.period, at_s)
        return Counter(str(scope), budget.unit, budget.period, *window)

    def for_scopes(self, scopes: Iterable[Scope], at_s: float) -> tuple[tuple[Budget, Scope, Counter], ...]:
        """Return the budgets that count for scopes, each with its scope and its counter at a moment."""
        return tuple(
            (budget, scope, self.counter(budget, scope, at_s))
            for scope in scopes
            for budget in self.of(scope)
        )

    def counters(self, scope: Scope, at_s: float) -> frozenset[Counter]:
        """Return all counters of a scope in which a call that arrives at a moment is counted."""
        if not self.budgets:
            return frozenset()
        return frozenset(demand.counter for demand in self._filled(scope, at_s).demands)

    def counts_in(self, counter: Counter) -> bool:
        """Whether calls that arrive in a counter's window are counted in it."""
        # The total has no beginning; any moment will do, and time zones know those after 1970.
        at_s = counter.start_s or _DAY_S
        return counter in self.counters(read_scope(counter.scope), at_s)

    def whose(self, claimant: Claimant) -> tuple[str, ...]:
        """Name whom a call is for, as far as budgets tell it: calls alike fall under the same limits."""
        attribution, kinds = claimant.attribution, self._kinds
        return (
            attribution.tenant,
            attribution.agent,
            claimant.key_id if ScopeKind.KEY in kinds else "",
            attribution.user if ScopeKind.USER in kinds else "",
            attribution.conversation if ScopeKind.CONVERSATION in kinds else "",
        )

    def claim(self, claimant: Claimant, most: Amounts, at_s: float, ttl_s: int = 120) -> Claim:
        """Ask for what a call can take at most.

        Args:
            claimant: The call.
            most: What its first attempt can take at most; what is unknown is claimed as nothing, so ask
                `Claim.unbounded` then.
            at_s: When it is asked, in seconds since the epoch: its windows are those of this moment.
            ttl_s: How long it is held unless it is renewed.
        """
        whose = self.whose(claimant)
        form = self._form(whose, claimant, at_s)
        reservation = Reservation(
            claimant.operation_id,
            form.conversation or _conversation(claimant),
            form.demands,
            form.unasked,
            form.throttles,
            ttl_s,
            claimant.note,
        )
        claim = Claim(reservation, form, whose)
        return claim.extended(most) if most.nusd or most.tokens else claim

    def _form(self, whose: tuple[str, ...], claimant: Claimant, at_s: float) -> Form:
        """Return what a call asks.

        Args:
            whose: Whom it is for.
            claimant: The call.
            at_s: When it is asked.
        """
        form = self._forms.get(whose)
        if form is None or not form.from_s <= at_s < form.until_s:
            # Budgets on users, keys or conversations that there are none of need no part of theirs.
            scopes = scopes_of(claimant.attribution, claimant.key_id)
            needed = [scope for scope in scopes if scope.kind in self._kinds or scope.kind in _COUNTED]
            parts = [self._part(scope, at_s) for scope in needed]
            form = _joined(parts, _conversation(claimant) if whose[-1] else "")
            self._forms.keep(whose, form)
        return form

    def _part(self, scope: Scope, at_s: float) -> _Part:
        """Return what calls ask of one scope. Whoever falls under it shares it, so that it stays at hand."""
        part = self._parts.get(scope)
        if part is None or not part.from_s <= at_s < part.until_s:
            part = self._filled(scope, at_s)
            self._parts.keep(scope, part)
        return part

    def _filled(self, scope: Scope, at_s: float) -> _Part:
        asks: dict[Counter, tuple[Demand, Budget | None]] = {}
        throttles: list[Throttle] = []
        throttling: list[Budget] = []
        counted: list[Counter] = []
        for budget in self.of(scope):
            counter = self.counter(budget, scope, at_s)
            asks[counter] = Demand(counter, budget.hard_limit, budget.new_limit), budget
            throttle = self._throttle(budget, counter, at_s)
            if throttle is not None:
                throttles.append(throttle)
                throttling.append(budget)
                counted += (throttle.minute, throttle.hours[0])
        if scope.kind in _COUNTED:
            name = str(scope)
            counted += [self._counter(name, Unit.NUSD, period, at_s) for period in _COUNTED_PERIODS]
        for counter in counted:
            asks.setdefault(counter, (Demand(counter), None))
        return _Part(
            demands=tuple(demand for demand, _ in asks.values()),
            budgets=tuple(budget for _, budget in asks.values()),
            throttles=tuple(throttles),
            throttling=tuple(throttling),
            from_s=max((counter.start_s for counter in asks), default=0),
            until_s=min((counter.end_s for counter in asks if counter.end_s is not None), default=math.inf),
        )

    def _counter(self, scope: str, unit: Unit, period: Period, at_s: float) -> Counter:
        return Counter(scope, unit, period, *self._windows.of(_EVERYWHERE, period, at_s))

    def _throttle(self, budget: Budget, counter: Counter, at_s: float) -> Throttle | None:
        from_amount = budget.throttled_from
        if from_amount is None:
            return None
        minute, hour = (
            self._counter(counter.scope, Unit.REQUESTS, period, at_s)
            for period in (Period.MINUTE, Period.HOUR)
        )
        before = msgspec.structs.replace(hour, start_s=hour.start_s - _HOUR_S, end_s=hour.start_s)
        return Throttle(counter, from_amount, minute, (hour, before))


def _unasked(counter: Counter) -> int:
    """Return what a call asks of a counter before it is known what the call can take: it is one call."""
    return 0 if counter.unit in {Unit.NUSD, Unit.TOKENS} else 1


def _limited(demands: Iterable[Demand], units: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Yield what `Form.limited` holds of demands."""
    for number, (demand, unit) in enumerate(zip(demands, units, strict=True)):
        limit = demand.limit if demand.new_limit is None else demand.new_limit
        if limit is not None:
            yield number, unit, limit


def _joined(parts: Sequence[_Part], conversation: str) -> Form:
    """Return what calls ask of several scopes."""
    demands = tuple([demand for part in parts for demand in part.demands])
    budgets = tuple([budget for part in parts for budget in part.budgets])
    units = number_units(demand.counter for demand in demands)
    return Form(
        conversation=conversation,
        demands=demands,
        units=units,
        unasked=tuple([_unasked(demand.counter) for demand in demands]),
        limited=tuple(_limited(demands, units)),
        budgets=budgets,
        throttles=tuple([throttle for part in parts for throttle in part.throttles]),
        throttling=tuple([budget for part in parts for budget in part.throttling]),
        has_ladders=any(budget is not None and budget.ladder for budget in budgets),
        from_s=max((part.from_s for part in parts), default=0),
        until_s=min((part.until_s for part in parts), default=math.inf),
    )


def _conversation(claimant: Claimant) -> str:
    """Name a call's conversation; a call whose conversation is unknown is one of its own."""
    if not claimant.attribution.conversation:
        return f"call:{claimant.operation_id}"
    attribution = claimant.attribution
    return str(Scope(ScopeKind.CONVERSATION, attribution.tenant, attribution.conversation))
