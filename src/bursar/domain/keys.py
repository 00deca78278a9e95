"""Virtual keys: what a client shows to be let in, and what that allows.

A key is `bk_` and 256 random bits. Only its hash is kept, so that neither the admin store nor its audit log
opens anything; the key itself is seen once, by whoever made it.
"""

import hashlib
import re
from enum import StrEnum

import msgspec

PREFIX = "bk_"
"""Begins every virtual key, so that one is recognised wherever it stands by mistake."""

_SECRET_CHARS = 43
"""Characters behind the prefix: 256 bits in URL-safe Base64 without padding."""

KEY_CHARS = len(PREFIX) + _SECRET_CHARS
"""Characters of a whole key."""

SECRETS_MAX = 8
"""Secrets of one key that are remembered; whatever was replaced by more than that ends at once."""

_KEY = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{{_SECRET_CHARS}}}")

# Whatever begins like this is a key, or most of one. It begins a word: a provider's key is random text too,
# and may well hold the prefix.
_RECOGNISED = re.compile(rf"(?<![A-Za-z0-9_-]){PREFIX}[A-Za-z0-9_-]{{20}}")


class Role(StrEnum):
    """What a key is for."""

    ADMIN = "admin"  # Calls, and what operators do over HTTP.
    AGENT = "agent"  # Calls.
    READER = "reader"  # Looks at budgets; makes no calls.


class Rights(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a key allows.

    Attributes:
        role: What it is for.
        tenant: The only tenant that it is for; None: whichever the caller names.
        agent: The only agent, likewise.
        models: Patterns of models that may be asked for, with `*` for any text; empty: all.
        tasks: Patterns of tasks, likewise. Where there are any, a call has to name its task.
        expires_at_s: From when it opens nothing any more; None: never.
    """

    role: Role
    tenant: str | None = None
    agent: str | None = None
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    expires_at_s: float | None = None


class Secret(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What shows that somebody has a key.

    Attributes:
        digest: `digest_of` the whole key, in hexadecimal.
        until_s: From when it is no longer taken, since another has replaced it; None: as long as the key is.
    """

    digest: str
    until_s: float | None = None


class VirtualKey(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A key, as the admin store keeps it. A field that is unknown might restrict it, and is refused.

    Attributes:
        id: Names it everywhere: in budgets (`key:ID`), the ledger and the audit log.
        rights: What it allows.
        secrets: What is taken for it, the newest first. A key that is rotated keeps its id, and with it its
            limits and what was spent of them.
        created_at_s: When it was made.
        created_by: By whom.
        revoked_at_s: When it was revoked; None: it was not. A revoked key is kept, so that it is told from
            one that never was, and so that a gateway whose last key is revoked does not open to everybody.
    """

    id: str
    rights: Rights
    secrets: tuple[Secret, ...]
    created_at_s: float
    created_by: str
    revoked_at_s: float | None = None

    def rotated(self, digest: str, at_s: float, overlap_s: float) -> "VirtualKey":
        """Return it with a new secret; those of before are taken for a while yet.

        Args:
            digest: The new secret's.
            at_s: The time.
            overlap_s: For how long the others are still taken; 0: no longer.
        """
        end_s = at_s + overlap_s
        others = (
            Secret(old.digest, end_s if old.until_s is None else min(end_s, old.until_s))
            for old in self.secrets
        )
        # Whoever still sends one that has ended is told so.
        return msgspec.structs.replace(self, secrets=(Secret(digest), *others)[:SECRETS_MAX])

    def revoked(self, at_s: float) -> "VirtualKey":
        """Return it as one that opens nothing any more."""
        return msgspec.structs.replace(self, revoked_at_s=at_s)


def digest_of(key: str) -> str:
    """Return the hash of a whole key, under which it is looked up.

    It is not salted or slowed down: nobody guesses 256 random bits. Text of any kind has a hash.
    """
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()


def is_key(text: str) -> bool:
    """Whether text has the form of a whole key."""
    return _KEY.fullmatch(text) is not None


def holds_key(text: str) -> bool:
    """Whether a key, or most of one, stands anywhere in a text."""
    return PREFIX in text and _RECOGNISED.search(text) is not None
