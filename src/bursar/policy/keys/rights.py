"""What a key allows, and whether that lies within what its maker may."""

from collections.abc import Iterator, Sequence

from bursar.domain.keys import Rights, Role
from bursar.errors import NotPermitted

OPERATOR = Rights(Role.ADMIN)
"""What whoever operates the gateway may: everything."""

_ANY = "*"


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern, in which `*` stands for any text, holds a text."""
    first, *rest = pattern.split(_ANY)
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def allows_model(rights: Rights, model: str) -> bool:
    """Whether a key allows a model."""
    return not rights.models or _any_matches(rights.models, model)


def check_use(rights: Rights, model: str, task: str) -> None:
    """Check that a key allows a call.

    Args:
        rights: The key's.
        model: The model that is asked for.
        task: What the call's work is; empty where it does not say.

    Raises:
        NotPermitted: It does not; the message names what it allows.
    """
    if not allows_model(rights, model):
        raise NotPermitted(f"this key does not allow that model; it allows {_listed(rights.models)}")
    if rights.tasks and not _any_matches(rights.tasks, task):
        what = "that task" if task else "calls that name no task (x-bursar-task)"
        raise NotPermitted(f"this key does not allow {what}; it allows {_listed(rights.tasks)}")


def excesses(minted: Rights, minter: Rights) -> Iterator[str]:
    """Yield what a key would be allowed beyond what its maker is; nothing where it lies within.

    Args:
        minted: Those that a key is to have.
        minter: Those of the key with which it is made, or `OPERATOR`.
    """
    if minter.role is not Role.ADMIN:
        yield f"a key of role {minter.role.value} makes no keys"
    if minter.tenant is not None and minted.tenant != minter.tenant:
        yield f"tenant: only {minter.tenant!r} is allowed"
    if minter.agent is not None and minted.agent != minter.agent:
        yield f"agent: only {minter.agent!r} is allowed"
    for what, own, other in (
        ("models", minted.models, minter.models),
        ("tasks", minted.tasks, minter.tasks),
    ):
        if other and not _lie_within(own, other):
            yield f"{what}: only {_listed(other)} are allowed"
    if minter.expires_at_s is not None and (
        minted.expires_at_s is None or minted.expires_at_s > minter.expires_at_s
    ):
        yield "it would outlive the key that makes it"


def _lie_within(patterns: Sequence[str], others: Sequence[str]) -> bool:
    """Whether all that some patterns hold is held by others; no patterns hold everything.

    A star in a pattern is taken for a character that only another's star can stand for: whatever text the
    star becomes, that one stands for it too.
    """
    return bool(patterns) and all(_any_matches(others, pattern) for pattern in patterns)


def _any_matches(patterns: Sequence[str], text: str) -> bool:
    return any(matches(pattern, text) for pattern in patterns)


def _listed(patterns: Sequence[str]) -> str:
    return ", ".join(patterns)
