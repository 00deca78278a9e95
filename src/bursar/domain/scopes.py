"""What a budget applies to."""

from enum import StrEnum
from typing import Self

import msgspec


class ScopeKind(StrEnum):
    """Kinds of scopes, from the whole to the single conversation."""

    ORGANISATION = "organisation"
    TENANT = "tenant"
    AGENT = "agent"
    KEY = "key"
    CONVERSATION = "conversation"
    USER = "user"


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
        """Write it as settings and refusals name it: `tenant:acme`, `agent:acme/support`."""
        if self.kind is ScopeKind.ORGANISATION:
            return self.kind.value
        whose = f"{self.tenant}/" if self.tenant else ""
        return f"{self.kind.value}:{whose}{self.name}"
