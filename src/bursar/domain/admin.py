"""What operators set while the gateway runs: stored budgets, stops, conversations' own limits, and keys.

Each is an item of one kind with a name. Its content is JSON text, which whoever sets it has validated: the
store keeps it as it is.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class ItemKind(StrEnum):
    """What an item is. Its name is unique among its kind."""

    BUDGET = "budget"  # A `[[budgets]]` table; named by its scope, unit and window.
    STOP = "stop"  # An emergency stop; named by `str(ScopePattern)`.
    LOOP = "loop"  # A conversation that was stopped for its loop, or let go on; named by `str(Scope)`.
    CONVERSATION = "conversation"  # A conversation's own limits; named by `str(Scope)`.
    KEY = "key"  # A virtual key, of which there are hashes only; named by its id.
    ERASURE = "erasure"  # A tenant that was erased, or is being; named by a hash of its name.


class AdminItem(msgspec.Struct, frozen=True, gc=False):
    """One item, as it was last set.

    Attributes:
        kind: What it is.
        name: Its name.
        content: JSON text.
        set_at_s: When it was set.
        set_by: By whom: a key's id, a person, or `cli`.
    """

    kind: ItemKind
    name: str
    content: str
    set_at_s: float
    set_by: str


class AdminState(msgspec.Struct, frozen=True, gc=False):
    """All items at one moment.

    Attributes:
        version: Rises by one with each change.
        items: All of each kind, by name.
    """

    version: int
    items: Mapping[ItemKind, Mapping[str, AdminItem]]


class AdminChange(msgspec.Struct, frozen=True, gc=False):
    """One change, as the audit log keeps it.

    Attributes:
        version: The state's version that it made.
        at_s: When.
        by: Who.
        kind: What kind of item,
        name: and which.
        before: Its content before; None where there was none.
        after: And after; None where it was removed.
    """

    version: int
    at_s: float
    by: str
    kind: ItemKind
    name: str
    before: str | None
    after: str | None
