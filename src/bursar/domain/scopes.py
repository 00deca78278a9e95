"""What a budget applies to."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Self

import msgspec

from bursar.domain.attribution import ERASED, Attribution
from bursar.errors import BadSetting


class ScopeKind(StrEnum):
    """Kinds of scopes, from the whole to the single conversation."""

    ORGANISATION = "organisation"
    TENANT = "tenant"
    AGENT = "agent"
    KEY = "key"
    CONVERSATION = "conversation"
    USER = "user"


_OF_TENANTS = frozenset({ScopeKind.AGENT, ScopeKind.CONVERSATION, ScopeKind.USER})
"""Kinds whose names mean something within their tenant only."""

_ANY = "*"


class Scope(msgspec.Struct, frozen=True, order=True):
    """One organisation, tenant, agent, key, conversation or user.

    Attributes:
        kind: Which.
        tenant: The tenant that an agent, conversation or user belongs to; else empty.
        name: Its name; empty for the organisation.
    """

    kind: ScopeKind
    tenant: str = ""
    name: str = ""

    @classmethod
    def organisation(cls) -> Self:
        """Return the scope that holds all others."""
        return cls(ScopeKind.ORGANISATION)

    def __str__(self) -> str:
        """Write it as settings and refusals name it: `tenant:acme`, `agent:acme/support`.

        Different scopes are never written alike: a slash in a tenant's name is spelt `%2F` before the slash
        that ends it, and a percent sign `%25`.
        """
        if self.kind is ScopeKind.ORGANISATION:
            return self.kind.value
        whose = f"{_spelt(self.tenant)}/" if self.kind in _OF_TENANTS else ""
        return f"{self.kind.value}:{whose}{self.name}"


def scopes_of(attribution: Attribution, key_id: str = "") -> tuple[Scope, ...]:
    """Return all scopes that a call falls under, the widest first.

    Args:
        attribution: The call's. Its user and its conversation are no scopes while they are empty.
        key_id: Id of the virtual key that it came with; empty for none.
    """
    tenant = attribution.tenant
    if tenant == ERASED:
        # Its amounts are the organisation's, and nobody else's.
        return (Scope(ScopeKind.ORGANISATION),)
    scopes = [
        Scope(ScopeKind.ORGANISATION),
        Scope(ScopeKind.TENANT, "", tenant),
        Scope(ScopeKind.AGENT, tenant, attribution.agent),
    ]
    if key_id:
        scopes.append(Scope(ScopeKind.KEY, "", key_id))
    if attribution.user:
        scopes.append(Scope(ScopeKind.USER, tenant, attribution.user))
    if attribution.conversation:
        scopes.append(Scope(ScopeKind.CONVERSATION, tenant, attribution.conversation))
    return tuple(scopes)


def holders(scope: Scope) -> tuple[Scope, ...]:
    """Return the scopes that all calls of a scope fall under, the widest first, itself last."""
    if scope.kind is ScopeKind.ORGANISATION:
        return (scope,)
    tenant = (Scope(ScopeKind.TENANT, "", scope.tenant),) if scope.kind in _OF_TENANTS else ()
    return (Scope(ScopeKind.ORGANISATION), *tenant, scope)


class ScopePattern(msgspec.Struct, frozen=True, order=True):
    """Scopes that a setting names together; each has a counter of its own.

    Attributes:
        kind: Their kind.
        tenant: Whose they are; None for any tenant's, and for kinds that belong to none.
        name: Their name; None for any.
    """

    kind: ScopeKind
    tenant: str | None = None
    name: str | None = None

    @classmethod
    def only(cls, scope: Scope) -> Self:
        """Return the pattern of a single scope."""
        return cls(
            scope.kind,
            scope.tenant if scope.kind in _OF_TENANTS else None,
            scope.name if scope.kind is not ScopeKind.ORGANISATION else None,
        )

    @property
    def scope(self) -> Scope | None:
        """The scope that it names; None where it stands for several."""
        if self.kind is ScopeKind.ORGANISATION:
            return Scope.organisation()
        if self.name is None or (self.tenant is None and self.kind in _OF_TENANTS):
            return None
        return Scope(self.kind, self.tenant or "", self.name)

    def __str__(self) -> str:
        """Write it as settings do: `tenant:*`, `agent:support` (of any tenant), `agent:acme/*`."""
        if self.kind is ScopeKind.ORGANISATION:
            return self.kind.value
        name = _ANY if self.name is None else self.name
        if self.tenant is None:
            # Without it, a slash in the name would end a tenant's.
            whose = f"{_ANY}/" if self.kind in _OF_TENANTS and "/" in name else ""
        else:
            whose = f"{_spelt(self.tenant)}/"
        return f"{self.kind.value}:{whose}{name}"


def patterns_of(scope: Scope) -> Iterator[ScopePattern]:
    """Yield every pattern that holds a scope, the most particular first."""
    yield (only := ScopePattern.only(scope))
    if only.name is None:
        return
    if only.tenant is not None:
        yield ScopePattern(scope.kind, None, scope.name)
        yield ScopePattern(scope.kind, scope.tenant)
    yield ScopePattern(scope.kind)


def read_pattern(text: str) -> ScopePattern:
    """Read what `str(ScopePattern)` and `str(Scope)` write.

    Raises:
        BadSetting: It is neither.
    """
    if text == ScopeKind.ORGANISATION:
        return ScopePattern(ScopeKind.ORGANISATION)
    kind_text, colon, rest = text.partition(":")
    try:
        kind = ScopeKind(kind_text)
    except ValueError:
        kind = None
    if kind is None or kind is ScopeKind.ORGANISATION or not colon or not rest:
        raise BadSetting(
            'a scope is "organisation", or one of tenant, agent, key, user and conversation with a name '
            'or *, such as "tenant:acme", "agent:acme/support", "agent:support" or "conversation:*"'
        )
    tenant, slash, name = rest.partition("/")
    if kind not in _OF_TENANTS or not slash:
        return ScopePattern(kind, None, _unless_any(rest))
    if not tenant or not name:
        raise BadSetting(f'a name is missing beside the slash; write "{kind.value}:TENANT/NAME"')
    known = _unless_any(tenant)
    return ScopePattern(kind, known and _unspelt(known), _unless_any(name))


def read_scope(text: str) -> Scope:
    """Read what `str(Scope)` writes, whatever the names are: here a star is a name like any other.

    Raises:
        ValueError: It is of no kind of scope.
    """
    kind_text, _, rest = text.partition(":")
    kind = ScopeKind(kind_text)
    if kind not in _OF_TENANTS:
        return Scope(kind, "", rest)
    tenant, _, name = rest.partition("/")
    return Scope(kind, _unspelt(tenant), name)


def _unless_any(name: str) -> str | None:
    return None if name == _ANY else name


def _spelt(tenant: str) -> str:
    return tenant.replace("%", "%25").replace("/", "%2F") if "%" in tenant or "/" in tenant else tenant


def _unspelt(tenant: str) -> str:
    return tenant.replace("%2F", "/").replace("%25", "%")
