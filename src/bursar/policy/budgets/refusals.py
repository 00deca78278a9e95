"""Why a call is not made, in the words and members that its client gets.

| what is in the way | status | kind |
|---|---|---|
| a limit on money, tokens or turns | 402 | `budget_exceeded` |
| a limit per minute, or on concurrent calls | 429 | `throttled` |
| a ladder's throttle | 429 | `throttled` |
| a limit per minute below what the call alone may take | 402 | `budget_exceeded` |
| a limit on what nobody knows of the call | 402 | `budget_exceeded` |
| an operator's stop | 403 | `stopped` |

Only what waiting helps against is a 429, since clients repeat those. A stop is no matter of money, and no
client repeats a 403, so that a stopped agent stands still. Runaway conversations are refused elsewhere.
"""

import math

import msgspec

from bursar.domain.budgets import Budget
from bursar.domain.reservations import Counter, Demand, Exceeded, Period, Throttled, Unit
from bursar.domain.scopes import Scope, ScopeKind
from bursar.policy.budgets.amount_texts import exact, percent, spoken, spoken_limit, suffix_of
from bursar.policy.budgets.claims import Claim

BUDGET_EXCEEDED = "budget_exceeded"
THROTTLED = "throttled"
STOPPED = "stopped"

_RETRY_CONCURRENT_S = 1
"""When a place among concurrent calls may be free is unknown; a second is soon, and no storm."""


class Refusal(msgspec.Struct, frozen=True):
    """A call that is not made.

    Attributes:
        status: HTTP status.
        kind: What the dialect's error is to be called.
        message: For whoever reads it: a person, or the agent itself.
        details: Further members of the error object.
        retry_after_s: When to ask again, in whole seconds, at least 1; None: asking again is of no use, which
            `x-should-retry: false` tells the SDKs.
    """

    status: int
    kind: str
    message: str
    details: dict[str, str | int | None]
    retry_after_s: int | None = None


class _Lack(msgspec.Struct, frozen=True):
    """What a limit leaves too little of.

    Attributes:
        demand: What limits the call,
        needed: how much it can take at most,
        outcome: and the store's answer.
    """

    demand: Demand
    needed: int
    outcome: Exceeded


def refuse(claim: Claim, outcome: Exceeded | Throttled, at_s: float) -> Refusal:
    """Say why a store held nothing for a claim.

    Args:
        claim: The claim.
        outcome: The store's answer.
        at_s: When the claim was made.
    """
    if isinstance(outcome, Throttled):
        return _throttled(claim, outcome)
    number = outcome.demand
    lack = _Lack(claim.demands[number], claim.reservation.amounts[number], outcome)
    budget = claim.budgets[number]
    if budget is None:
        # No limit was set, so the store contradicts its contract; what it says is passed on all the same.
        return Refusal(402, BUDGET_EXCEEDED, "a limit is exceeded", _details(lack, None))
    details = _details(lack, budget)
    retry_after_s = _retry_after_s(lack, at_s)
    words = _words(lack, budget)
    if retry_after_s is None:
        return Refusal(402, BUDGET_EXCEEDED, words, details)
    return Refusal(429, THROTTLED, words, details, retry_after_s)


def refuse_unbounded(claim: Claim, demand: int, reason: str) -> Refusal:
    """Say that a call cannot be held against a limit, since nobody knows what it may take.

    Args:
        claim: The claim.
        demand: Number of the demand, by `Claim.unbounded`.
        reason: Why that is unknown, for a person.
    """
    counter, budget = claim.demands[demand].counter, claim.budgets[demand]
    suffix = suffix_of(counter.unit)
    limit = "" if budget is None else f" of {spoken_limit(budget.unit, budget.limit, budget.period)}"
    return Refusal(
        402,
        BUDGET_EXCEEDED,
        f"what this call may take at most is unknown ({reason}), so it cannot be held against the limit"
        f"{limit} of {counter.scope}",
        {
            "scope": counter.scope,
            "window": counter.period.value,
            f"limit_{suffix}": None if budget is None else exact(counter.unit, budget.limit),
            f"needed_{suffix}": None,
            "resets_at": _resets_at(counter, budget),
        },
    )


def refuse_stopped(scope: Scope) -> Refusal:
    """Say that an operator has stopped a scope."""
    return Refusal(
        403,
        STOPPED,
        f"{scope} was stopped by an operator; no calls are made until one resumes it",
        {"scope": str(scope)},
    )


def _throttled(claim: Claim, outcome: Throttled) -> Refusal:
    throttle, budget = claim.reservation.throttles[outcome.throttle], claim.form.throttling[outcome.throttle]
    counter = throttle.budget
    limit = spoken_limit(budget.unit, budget.limit, budget.period)
    return Refusal(
        429,
        THROTTLED,
        f"{counter.scope} is slowed down, since its budget of {limit} is nearly spent: this minute may bring "
        f"{percent(throttle.per_mille)} of the last hour's calls, and they have come; "
        f"try again in {outcome.retry_after_s} s",
        {
            "scope": counter.scope,
            "window": counter.period.value,
            f"limit_{suffix_of(budget.unit)}": exact(budget.unit, budget.limit),
            "resets_at": _resets_at(counter, budget),
        },
        outcome.retry_after_s,
    )


def _details(lack: _Lack, budget: Budget | None) -> dict[str, str | int | None]:
    counter, outcome = lack.demand.counter, lack.outcome
    suffix = suffix_of(counter.unit)
    amounts = {
        "limit": outcome.limit,
        "spent": outcome.level.settled,
        "held": outcome.level.held,
        "needed": lack.needed,
    }
    return {
        "scope": counter.scope,
        "window": counter.period.value,
        **{f"{name}_{suffix}": exact(counter.unit, amount) for name, amount in amounts.items()},
        "resets_at": _resets_at(counter, budget),
    }


def _resets_at(counter: Counter, budget: Budget | None) -> str | None:
    if counter.end_s is None or budget is None:
        return None
    return budget.calendar.text(counter.end_s)


def _retry_after_s(lack: _Lack, at_s: float) -> int | None:
    """Return when waiting will have helped; None where it does not, or not soon."""
    counter = lack.demand.counter
    if lack.needed > lack.outcome.limit:
        return None
    if counter.unit is Unit.OPEN_CALLS:
        return _RETRY_CONCURRENT_S
    if counter.period is Period.MINUTE and counter.end_s is not None:
        return max(1, math.ceil(counter.end_s - at_s))
    return None


def _words(lack: _Lack, budget: Budget) -> str:
    demand, outcome = lack.demand, lack.outcome
    counter, unit = demand.counter, demand.counter.unit
    limit = spoken_limit(unit, outcome.limit, counter.period)
    if budget.pattern.kind is ScopeKind.CONVERSATION and counter.period is Period.TOTAL:
        return _cap_words(lack, limit)
    said = f"{counter.scope} has reached its limit of {limit}"
    if outcome.is_new and demand.new_limit is not None and demand.limit != demand.new_limit:
        said += " for new conversations"
    elif outcome.limit != budget.limit:
        said += f" ({percent(outcome.limit * 1000 // budget.limit)} of {spoken(unit, budget.limit)})"
    if unit is Unit.OPEN_CALLS:
        return said
    said += f": {_amounts(lack)}"
    resets_at = _resets_at(counter, budget)
    return f"{said}; the next window begins at {resets_at}" if resets_at else said


def _cap_words(lack: _Lack, limit: str) -> str:
    """Tell the agent itself, which may pass it on to whoever it serves."""
    return (
        f"this conversation has reached its cap of {limit}: {_amounts(lack)}. Stop "
        "here, and say so: further calls are refused until a person raises the cap (bursar conversation "
        "resume); then it goes on where it stopped"
    )


def _amounts(lack: _Lack) -> str:
    unit, outcome = lack.demand.counter.unit, lack.outcome
    parts = [f"{spoken(unit, outcome.level.settled)} used"]
    if outcome.level.held:
        parts.append(f"{spoken(unit, outcome.level.held)} held for calls under way")
    parts.append(f"this call may need {spoken(unit, lack.needed)}")
    return ", ".join(parts)
