"""All keys, by the hash under which they are looked up."""

import hmac
import math
from collections.abc import Collection, Iterable, Mapping
from enum import Enum, auto

import msgspec

from bursar.domain.admin import AdminItem, AdminState, ItemKind
from bursar.domain.keys import KEY_CHARS, PREFIX, Rights, VirtualKey, digest_of
from bursar.errors import StoreFailed

_LOOKED_AT_MAX = 20

_DECODER = msgspec.json.Decoder(VirtualKey)


class Grant(msgspec.Struct, frozen=True):
    """What somebody may who has shown a key.

    Attributes:
        key_id: The key's; empty for the operator's token.
        rights: What it allows.
        pins: What it is for, whoever asks: `tenant` and `agent`, as far as it names them.
        is_restricted: Whether it allows some models or tasks only.
    """

    key_id: str
    rights: Rights
    pins: tuple[tuple[str, str], ...]
    is_restricted: bool

    @classmethod
    def of(cls, key_id: str, rights: Rights) -> "Grant":
        """Return the grant of a key's rights."""
        named = (("tenant", rights.tenant), ("agent", rights.agent))
        pins = tuple((label, text) for label, text in named if text is not None)
        return cls(key_id, rights, pins, bool(rights.models or rights.tasks))


class Denial(Enum):
    """Why a key opens nothing."""

    UNKNOWN = auto()
    REVOKED = auto()
    EXPIRED = auto()
    REPLACED = auto()


class _Lock(msgspec.Struct, frozen=True):
    """What one secret opens.

    Attributes:
        digest: The secret's.
        grant: What it opens.
        from_s: From when on, in seconds since the epoch,
        until_s: and until when.
        denial: Why it opens nothing outside of that time.
    """

    digest: str
    grant: Grant
    from_s: float
    until_s: float
    denial: Denial


class KeyRing:
    """All keys that were ever made. Immutable.

    Args:
        keys: The keys.
    """

    def __init__(self, keys: Iterable[VirtualKey] = ()) -> None:
        self._locks: dict[str, _Lock] = {lock.digest: lock for key in keys for lock in _locks_of(key)}

    def __bool__(self) -> bool:
        """Whether there is any key, be it one that opens nothing any more."""
        return bool(self._locks)

    def find(self, key: str, now_s: float) -> Grant | Denial:
        """Return what a key grants, or why it grants nothing.

        How long that takes says nothing of other keys: what is compared are hashes, which nobody can
        choose.
        """
        digest = digest_of(key)
        lock = self._locks.get(digest)
        if lock is None or not hmac.compare_digest(lock.digest, digest) or now_s < lock.from_s:
            return Denial.UNKNOWN
        return lock.grant if now_s < lock.until_s else lock.denial

    def holds_any_in(self, text: str) -> bool:
        """Whether a key of this ring stands in a text, be it within a longer word.

        Text that holds more than a few things like keys is no text that anybody has to send.
        """
        at = text.find(PREFIX)
        for _ in range(_LOOKED_AT_MAX):
            if at < 0:
                return False
            if digest_of(text[at : at + KEY_CHARS]) in self._locks:
                return True
            at = text.find(PREFIX, at + 1)
        return True

    @property
    def digests(self) -> Collection[str]:
        """What all keys are looked up under."""
        return self._locks.keys()

    def without_new(self, known: Collection[str]) -> "KeyRing":
        """Return only the keys that are known, by their digests, as they are in this ring."""
        return self._with({digest: lock for digest, lock in self._locks.items() if digest in known})

    def with_new_from(self, known: Collection[str], from_s: float) -> "KeyRing":
        """Return all keys; those that are not known open nothing before a moment."""
        return self._with(
            {
                digest: lock
                if digest in known
                else msgspec.structs.replace(lock, from_s=max(lock.from_s, from_s))
                for digest, lock in self._locks.items()
            }
        )

    @classmethod
    def _with(cls, locks: Mapping[str, _Lock]) -> "KeyRing":
        ring = cls()
        ring._locks = dict(locks)
        return ring


def read_keys(state: AdminState) -> tuple[VirtualKey, ...]:
    """Return the keys that operators made, by id.

    Raises:
        StoreFailed: One cannot be read. To pass over it might be to pass over its revocation.
    """
    return tuple(read_key(item) for item in state.items.get(ItemKind.KEY, {}).values())


def read_key(item: AdminItem) -> VirtualKey:
    """Return the key that an item of the admin store holds.

    Raises:
        StoreFailed: It cannot be read.
    """
    try:
        return _DECODER.decode(item.content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StoreFailed(
            f"the admin store: key {item.name!r} cannot be read ({error}); upgrade Bursar if a newer one "
            f"wrote it"
        ) from error


def key_item(key: VirtualKey, by: str, at_s: float) -> AdminItem:
    """Write a key as an item of the admin store, under its id."""
    return AdminItem(ItemKind.KEY, key.id, msgspec.json.encode(key).decode(), at_s, by)


def _locks_of(key: VirtualKey) -> Iterable[_Lock]:
    grant = Grant.of(key.id, key.rights)
    expires_at_s = math.inf if key.rights.expires_at_s is None else key.rights.expires_at_s
    for secret in key.secrets:
        until_s, denial = expires_at_s, Denial.EXPIRED
        if secret.until_s is not None and secret.until_s < until_s:
            until_s, denial = secret.until_s, Denial.REPLACED
        if key.revoked_at_s is not None:
            until_s, denial = -math.inf, Denial.REVOKED
        yield _Lock(secret.digest, grant, -math.inf, until_s, denial)
