"""Who a call is for: the scopes that its cost belongs to."""

from typing import Self

import msgspec

DEFAULT = "default"

ERASED = "erased"
"""Tenant and agent of the calls of tenants that were erased. No call can be for it, and no budget counts it
but the organisation's.
"""

LABEL_CHARS_MAX = 256
"""Characters of a name that a call is attributed to."""


class Attribution(msgspec.Struct, frozen=True, gc=False):
    """Whom and what a call is attributed to. Agents are per tenant.

    Attributes:
        tenant: Customer or department.
        agent: The agent that makes the call.
        task: What kind of work it is; empty where nobody said.
        conversation: What one end user is served with; empty until it is recognised.
        user: The end user; empty where nobody said.
        tags: Free labels, sorted by name.
        key: Id of the virtual key that the call came with; empty for none.
    """

    tenant: str = DEFAULT
    agent: str = DEFAULT
    task: str = ""
    conversation: str = ""
    user: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    key: str = ""

    def in_conversation(self, conversation: str) -> Self:
        """Return the same with its conversation named."""
        return (
            self
            if self.conversation == conversation
            else msgspec.structs.replace(self, conversation=conversation)
        )
