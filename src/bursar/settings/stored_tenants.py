"""Whose the items of the admin store are, and how the store says that a tenant was erased."""

from collections.abc import Iterable

import msgspec

from bursar.domain.admin import AdminChange, AdminItem, AdminState, ItemKind
from bursar.domain.keys import Rights, VirtualKey
from bursar.domain.scopes import ScopeKind, ScopePattern, read_pattern, read_scope
from bursar.errors import BadSetting, StoreFailed
from bursar.policy.keys.ring import key_item, read_key
from bursar.settings.stored import Act

_NAMED_BY_SCOPE = frozenset({ItemKind.LOOP, ItemKind.CONVERSATION})


class Erasure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the admin store says of a tenant's erasure.

    Attributes:
        tenant: Whom servers are to forget, while that is under way; empty once it is done.
        erased_at_s: When it was done; None while it is under way.
    """

    tenant: str = ""
    erased_at_s: float | None = None


_ERASURE = msgspec.json.Decoder(Erasure)


class Belongings(msgspec.Struct, frozen=True):
    """Tells what is a tenant's.

    Attributes:
        tenant: The tenant.
        keys: Ids of its virtual keys.
    """

    tenant: str
    keys: frozenset[str] = frozenset()

    def holds(self, scope: str) -> bool:
        """Whether a scope, as `str(Scope)` writes it, is the tenant or something of it."""
        try:
            return self.holds_pattern(ScopePattern.only(read_scope(scope)))
        except ValueError:
            return False

    def holds_pattern(self, pattern: ScopePattern) -> bool:
        """Whether scopes that a setting names are the tenant, or something of it alone."""
        if pattern.kind is ScopeKind.TENANT:
            return pattern.name == self.tenant
        if pattern.kind is ScopeKind.KEY:
            return pattern.name in self.keys
        return pattern.tenant == self.tenant

    def holds_item(self, kind: ItemKind, name: str) -> bool:
        """Whether an item of the admin store is the tenant's."""
        if kind is ItemKind.KEY:
            return name in self.keys
        if kind in _NAMED_BY_SCOPE:
            return self.holds(name)
        if kind is ItemKind.ERASURE:
            return False
        # A budget's name has its unit and window behind its scopes; names of tenants may hold blanks.
        spoken = name.rsplit(" ", 2)[0] if kind is ItemKind.BUDGET else name
        try:
            return self.holds_pattern(read_pattern(spoken))
        except BadSetting:
            return False


def keys_of(tenant: str, state: AdminState, changes: Iterable[AdminChange]) -> frozenset[str]:
    """Return the ids of a tenant's virtual keys, of those that were ever made.

    Raises:
        StoreFailed: One cannot be read.
    """
    items = [
        *state.items.get(ItemKind.KEY, {}).values(),
        *(
            AdminItem(change.kind, change.name, content, change.at_s, change.by)
            for change in changes
            if change.kind is ItemKind.KEY
            for content in (change.before, change.after)
            if content is not None
        ),
    ]
    return frozenset(key.id for item in items if (key := read_key(item)).rights.tenant == tenant)


def ended_key(item: AdminItem, act: Act) -> AdminItem:
    """Write what stays of a key whose tenant is erased: that it opens nothing, and nothing of whose it was.

    Without it, a gateway whose last key this was would open to everybody. What a revoked key allows plays
    no part, so that nothing is named.
    """
    key = read_key(item)
    left = VirtualKey(
        key.id, Rights(key.rights.role), key.secrets, key.created_at_s, key.created_by, act.at_s
    )
    return key_item(left, act.by, act.at_s)


def erasure_item(name: str, erasure: Erasure, act: Act) -> AdminItem:
    """Write an erasure as an item of the admin store.

    Args:
        name: A hash of the tenant's name.
        erasure: How far it is.
        act: Who erases, and when.
    """
    return AdminItem(ItemKind.ERASURE, name, msgspec.json.encode(erasure).decode(), act.at_s, act.by)


def read_erasure(item: AdminItem) -> Erasure:
    """Read what `erasure_item` wrote.

    Raises:
        StoreFailed: It cannot be read.
    """
    try:
        return _ERASURE.decode(item.content)
    except msgspec.DecodeError as error:
        raise StoreFailed(
            f"the admin store: erasure {item.name!r} cannot be read ({error}); upgrade Bursar if a newer one "
            f"wrote it"
        ) from error


def tenants_to_forget(state: AdminState) -> frozenset[str]:
    """Return the tenants that are being erased.

    Raises:
        StoreFailed: What is stored cannot be read.
    """
    found = (read_erasure(item).tenant for item in state.items.get(ItemKind.ERASURE, {}).values())
    return frozenset(filter(None, found))
