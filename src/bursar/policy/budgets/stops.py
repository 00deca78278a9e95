"""The emergency brake: scopes that an operator has stopped."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from bursar.domain.scopes import Scope, ScopePattern, patterns_of


def stopped(scopes: Iterable[Scope], stops: AbstractSet[ScopePattern]) -> Scope | None:
    """Return the first of a call's scopes that is stopped; None where none is.

    Args:
        scopes: The call's, the widest first.
        stops: What is stopped: single scopes, or patterns such as `agent:support` of any tenant.
    """
    if not stops:
        return None
    return next((scope for scope in scopes if any(each in stops for each in patterns_of(scope))), None)
