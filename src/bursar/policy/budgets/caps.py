"""Raising the caps of a conversation that has reached them, so that it goes on where it stopped."""

from collections.abc import Mapping, Sequence

import msgspec

from bursar.domain.budgets import Budget
from bursar.domain.reservations import Unit
from bursar.domain.scopes import Scope, ScopePattern, read_pattern
from bursar.errors import CallerMistake
from bursar.policy.budgets.amount_texts import spoken, spoken_limit, suffix_of
from bursar.policy.budgets.states import BudgetState

RAISABLE = (Unit.NUSD, Unit.TOKENS, Unit.TURNS)
"""What a conversation's cap may limit."""


def raise_caps(
    scope: Scope,
    states: Sequence[BudgetState],
    limits: Mapping[Unit, int],
    *,
    was_refused: bool,
    force: bool = False,
) -> tuple[Budget, ...]:
    """Return the caps of a conversation with new limits, for it alone.

    Args:
        scope: The conversation.
        states: How the budgets in force stand for it.
        limits: The new limits, by unit. Of several caps in a unit, those that are reached are raised, or all
            where none is.
        was_refused: Whether its last call was refused: a cap stops a call that may take more than is left.
        force: Whether a cap is changed that does not stop it, or to less than it is.

    Raises:
        CallerMistake: It has no such cap; a limit is not above what is spent; its name, or its tenant's,
            stands for all of them; or, unless forced, no cap stops it, or a limit would not rise.
    """
    _check_alone(scope)
    caps = [state for state in states if state.budget.unit in RAISABLE]
    if not force and caps and not (was_refused or any(state.is_blocked for state in caps)):
        used = "; ".join(_used(state) for state in caps)
        raise CallerMistake(
            f'{scope} is not stopped by a cap ({used}); --force, or "force": true over HTTP, changes it all '
            f"the same"
        )
    return tuple(
        _raised(scope, state, limit, force=force)
        for unit, limit in limits.items()
        for state in _meant(scope, caps, unit)
    )


def how_to_raise_caps(states: Sequence[BudgetState]) -> str:
    """Say which caps a conversation has, and by which flags they are raised; empty where it has none."""
    caps = [state for state in states if state.budget.unit in RAISABLE]
    if not caps:
        return ""
    units = dict.fromkeys(suffix_of(state.budget.unit) for state in caps)
    flags = " or ".join(f"--limit-{unit} N" for unit in units)
    members = " or ".join(f'"limit_{unit}"' for unit in units)
    used = "; ".join(_used(state) for state in caps)
    return f"its cap ({used}) is raised by {flags}, or {members} over HTTP"


def _check_alone(scope: Scope) -> None:
    """Refuse a conversation called *, or of a tenant called so: as a budget's scope, that means every one."""
    only = ScopePattern.only(scope)
    if read_pattern(str(only)) != only:
        raise CallerMistake(
            f"{scope} cannot have a cap of its own, since * stands for every name in a budget's scope; let "
            f"its calls name it otherwise"
        )


def _meant(scope: Scope, caps: Sequence[BudgetState], unit: Unit) -> Sequence[BudgetState]:
    of_unit = [state for state in caps if state.budget.unit is unit]
    if not of_unit:
        what = f"{scope} has no cap in {suffix_of(unit)} to raise"
        if caps:
            raise CallerMistake(f"{what}; {how_to_raise_caps(caps)}")
        raise CallerMistake(f'{what} (it has none); bursar budget set --scope "{scope}" sets one')
    return [state for state in of_unit if state.is_blocked] or of_unit


def _raised(scope: Scope, state: BudgetState, limit: int, *, force: bool) -> Budget:
    budget, settled = state.budget, state.level.settled
    if limit <= settled:
        raise CallerMistake(
            f"a limit of {spoken(budget.unit, limit)} is not above the {spoken(budget.unit, settled)} that "
            f"{scope} has used; name a higher one"
        )
    if limit <= budget.limit and not force:
        raise CallerMistake(
            f"a limit of {spoken(budget.unit, limit)} does not raise the cap of "
            f"{spoken(budget.unit, budget.limit)}; name a higher one, or change it all the same with "
            f'--force, or "force": true over HTTP'
        )
    return msgspec.structs.replace(budget, pattern=ScopePattern.only(scope), limit=limit)


def _used(state: BudgetState) -> str:
    budget = state.budget
    limit = spoken_limit(budget.unit, budget.limit, budget.period)
    return f"{spoken(budget.unit, state.level.settled)} of {limit} used"
