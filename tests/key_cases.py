"""Virtual keys for tests."""

from typing import Any

from bursar.adapters.key_secrets import new_key
from bursar.domain.keys import Rights, Role, Secret, VirtualKey, digest_of
from bursar.policy.keys.ring import KeyRing

MADE_S = 1_000.0


def made(secret: str, key_id: str = "k-1", role: Role = Role.AGENT, **rights: Any) -> VirtualKey:
    """A key of tenant acme that a secret opens."""
    said = Rights(role, **{"tenant": "acme", **rights})
    return VirtualKey(key_id, said, (Secret(digest_of(secret)),), MADE_S, "cli")


def ring_with(**rights: Any) -> tuple[str, KeyRing]:
    """A secret, and a ring with its key alone."""
    secret = new_key()
    return secret, KeyRing([made(secret, **rights)])
