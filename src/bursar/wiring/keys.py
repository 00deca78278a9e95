"""Making keys, rotating and revoking them: by command, and over HTTP."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from bursar.adapters.key_secrets import new_key, new_key_id
from bursar.domain.admin import AdminState, ItemKind
from bursar.domain.budgets import Budget
from bursar.domain.keys import Rights, Role, Secret, VirtualKey, digest_of, holds_key
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern
from bursar.errors import BadSetting, CallerMistake, ChangedMeanwhile, NotPermitted
from bursar.policy.keys.rights import OPERATOR, excesses
from bursar.policy.keys.ring import key_item, read_key, read_keys
from bursar.ports import AdminStore
from bursar.settings import parse_budget
from bursar.settings.keys import ANY, read_end, read_overlap, read_rights
from bursar.settings.stored import Act, budget_item, stored_budgets, table_of

LIMITS = ("limit_usd", "limit_tokens", "limit_turns", "window")
RIGHTS = ("role", "tenant", "agent", "models", "tasks")

_SHOWN_CHARS_MAX = 60


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """What somebody may do with keys. Its methods block, for a commit at most.

    Raises, all methods alike:
        CallerMistake: What is asked for is wrong, or beyond the rights of whoever asks; nothing changed.
        StoreFailed: The store could not be read or written.

    Attributes:
        store: Where keys are kept.
        act: Who acts, and when.
        rights: What they may.
        prefix: What stands before a name where it was said, such as `--`.
    """

    store: AdminStore
    act: Act
    rights: Rights = OPERATOR
    prefix: str = ""

    def create(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Make a key. Returns it for JSON, the key itself among it: it is not kept.

        Args:
            said: Any of `RIGHTS`, `LIMITS` and `expires`; of the tenant nothing where whoever asks has one.
        """
        known = (*RIGHTS, *LIMITS, "expires")
        for name in said:
            if name not in known:
                raise BadSetting(f"is unknown; known here: {', '.join(known)}", place=name[:_SHOWN_CHARS_MAX])
        own = {} if self.rights.tenant is None else {"tenant": self.rights.tenant}
        texts = {name: _text(said[name], self.prefix + name) for name in (*RIGHTS, "expires") if name in said}
        expires = texts.pop("expires", None)
        place = f"{self.prefix}expires"
        expires_at_s = None if expires is None else read_end(expires, self.act.at_s, place)
        rights = read_rights({**own, **texts}, expires_at_s, prefix=self.prefix)
        self._check_within(rights)
        key_id, secret = new_key_id(), new_key()
        limited = {name: said[name] for name in LIMITS if name in said}
        limits = parse_budget({"scope": f"key:{key_id}", **limited}, "the limit").budgets() if limited else ()
        if limits and rights.role is Role.ADMIN:
            raise BadSetting(
                "who raises others' limits is held by none; leave limits out", place=f"{self.prefix}role"
            )
        key = VirtualKey(key_id, rights, (Secret(digest_of(secret)),), self.act.at_s, self.act.by)
        # A key never counts before its limits do.
        for limit in limits:
            self.store.put(budget_item(limit, self.act))
        self._put(key)
        return self._issued(key, secret, limits)

    def rotate(self, key_id: str, overlap: str) -> dict[str, Any]:
        """Put a new secret in the place of a key's former one, which is taken for a while yet.

        Returns:
            The key for JSON, as `create` does.
        """
        overlap_s = read_overlap(overlap, f"{self.prefix}overlap")
        secret = new_key()

        def rotated(key: VirtualKey) -> VirtualKey:
            if state_of(key, self.act.at_s) != "active":
                raise CallerMistake(f"ID: {key_id} is revoked or expired; make another")
            return key.rotated(digest_of(secret), self.act.at_s, overlap_s)

        state, _, key = self._change(key_id, rotated)
        return self._issued(key, secret, limits_of(key_id, stored_budgets(state)))

    def revoke(self, key_id: str) -> dict[str, Any]:
        """End a key. Returns, for JSON, whether it had not been ended before."""
        _, before, _ = self._change(
            key_id, lambda key: key if key.revoked_at_s is not None else key.revoked(self.act.at_s)
        )
        return {"id": key_id, "revoked": True, "changed": before.revoked_at_s is None}

    def rows(self) -> list[dict[str, Any]]:
        """Return all keys within the rights of whoever asks, for JSON; none of them opens anything."""
        state = self.store.read()
        budgets = stored_budgets(state)
        keys = sorted(read_keys(state), key=lambda key: key.created_at_s)
        return [
            key_object(key, limits_of(key.id, budgets), self.act.at_s)
            for key in keys
            if not any(excesses(key.rights, self.rights))
        ]

    def _issued(self, key: VirtualKey, secret: str, limits: Sequence[Budget]) -> dict[str, Any]:
        return {"id": key.id, "key": secret, **key_object(key, limits, self.act.at_s)}

    def _find(self, state: AdminState, key_id: str) -> VirtualKey:
        item = state.items.get(ItemKind.KEY, {}).get(key_id)
        key = None if item is None else read_key(item)
        if key is None or any(excesses(key.rights, self.rights)):
            shown = "that (a key, it seems)" if holds_key(key_id) else repr(key_id[:_SHOWN_CHARS_MAX])
            raise CallerMistake(f"ID: no key has the id {shown}; list them to see which there are")
        return key

    def _change(
        self, key_id: str, change: Callable[[VirtualKey], VirtualKey]
    ) -> tuple[AdminState, VirtualKey, VirtualKey]:
        """Change a key as it is now: what somebody else makes of it at the same time is never undone.

        Returns:
            What was set before, the key before, and after.
        """
        try:
            return self._try_change(key_id, change)
        except ChangedMeanwhile:
            return self._try_change(key_id, change)

    def _try_change(
        self, key_id: str, change: Callable[[VirtualKey], VirtualKey]
    ) -> tuple[AdminState, VirtualKey, VirtualKey]:
        state = self.store.read()
        before = self._find(state, key_id)
        after = change(before)
        if after != before:
            item = key_item(after, self.act.by, self.act.at_s)
            self.store.put(item, expected=state.items[ItemKind.KEY][key_id].content)
        return state, before, after

    def _check_within(self, rights: Rights) -> None:
        beyond = "; ".join(excesses(rights, self.rights))
        if beyond:
            raise NotPermitted(f"a key makes no key that may do more than itself: {beyond}")

    def _put(self, key: VirtualKey) -> None:
        self.store.put(key_item(key, self.act.by, self.act.at_s))


def limits_of(key_id: str, budgets: Iterable[Budget]) -> list[Budget]:
    """Return those budgets that limit just one key."""
    pattern = ScopePattern.only(Scope(ScopeKind.KEY, "", key_id))
    return [budget for budget in budgets if budget.pattern == pattern]


def key_object(key: VirtualKey, limits: Sequence[Budget], now_s: float) -> dict[str, Any]:
    """Return a key for JSON; what it is looked up by is not among it."""
    rights = key.rights
    until_s = max((secret.until_s for secret in key.secrets if secret.until_s is not None), default=None)
    return {
        "id": key.id,
        "tenant": rights.tenant or ANY,
        "agent": rights.agent or ANY,
        "role": rights.role.value,
        "models": list(rights.models),
        "tasks": list(rights.tasks),
        "limits": [table_of(budget) for budget in limits],
        "state": state_of(key, now_s),
        "created_at": _utc(key.created_at_s),
        "created_by": key.created_by,
        "expires_at": _utc(rights.expires_at_s),
        "revoked_at": _utc(key.revoked_at_s),
        "former_until": _utc(until_s) if until_s is not None and until_s > now_s else None,
    }


def state_of(key: VirtualKey, now_s: float) -> str:
    """Say whether a key is `active`, `expired` or `revoked`."""
    if key.revoked_at_s is not None:
        return "revoked"
    expires_at_s = key.rights.expires_at_s
    return "expired" if expires_at_s is not None and expires_at_s <= now_s else "active"


def _text(value: Any, place: str) -> str:
    """Read text, or a list of it as text with commas between."""
    if isinstance(value, str):
        return value
    try:
        parts = msgspec.convert(value, list[str])
    except msgspec.ValidationError:
        raise BadSetting("is text, or a list of it", place=place) from None
    if any("," in part for part in parts):
        raise BadSetting("holds a comma", place=place)
    return ",".join(parts)


def _utc(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
