"""The techniques, in the order in which they act on a call."""

from bursar.domain.decision import Decision
from bursar.policy.cache_key import plan_cache_key
from bursar.policy.case import Case
from bursar.policy.prefix_cache import plan_marks

_ORDER = (("prefix_cache", plan_marks), ("cache_key", plan_cache_key))


def decide(case: Case) -> tuple[tuple[Decision, ...], tuple[str, ...]]:
    """Let each technique decide in turn.

    Returns:
        What was decided, and the names of techniques that failed: a call never fails by them.
    """
    decisions: list[Decision] = []
    faults: list[str] = []
    for name, technique in _ORDER:
        try:
            decision = technique(case)
        except Exception:  # noqa: BLE001 - Principle: if an optimiser fails, the call goes out as it came, counted.
            faults.append(name)
        else:
            if decision is not None:
                decisions.append(decision)
    return tuple(decisions), tuple(faults)
