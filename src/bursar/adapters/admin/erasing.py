"""Taking a tenant out of what operators set, and out of the log of their changes.

The log keeps that something was changed, when and by whom; what it was gives way to a hash of the
tenant's name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bursar.adapters.admin.schema import ADMIN
from bursar.adapters.admin.sqlite import FILE_NAME
from bursar.adapters.sqlite.erasing import erasing
from bursar.domain.admin import AdminItem, ItemKind

_US_PER_S = 1_000_000

_CHANGED = (
    "INSERT INTO changes (version, at_us, by, kind, name, before, after) VALUES (?, ?, ?, ?, ?, NULL, ?)"
)
_HIDDEN = "UPDATE changes SET name = ?, before = NULL, after = NULL WHERE version = ?"
_LEFT = "UPDATE items SET content = ?, set_at_us = ?, set_by = ? WHERE kind = ? AND name = ?"
_GONE = "DELETE FROM items WHERE kind = ? AND name = ?"
_SET = (
    "INSERT INTO items (kind, name, content, set_at_us, set_by) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (kind, name) DO UPDATE SET content = excluded.content, set_at_us = excluded.set_at_us, "
    "set_by = excluded.set_by"
)


@dataclass(frozen=True, slots=True)
class AdminErasure:
    """What is to be erased.

    Attributes:
        belongs: Whether the item of a kind and name is the tenant's.
        leave: Says what stays in the place of an item that is; None for nothing.
        mark: What says that it was done, named by a hash of the tenant's name.
    """

    belongs: Callable[[ItemKind, str], bool]
    leave: Callable[[AdminItem], AdminItem | None]
    mark: AdminItem


def erase_from_admin(data_dir: Path, erasure: AdminErasure) -> int:
    """Erase in one transaction, which is a change like any other, so that servers take it up.

    Returns:
        How many items and changes those were.

    Raises:
        StoreFailed: It could not be done; trying again is safe.
    """
    mark, count = erasure.mark, 0
    at_us = round(mark.set_at_s * _US_PER_S)
    with erasing(ADMIN, data_dir / FILE_NAME, is_small=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for kind, name, content, set_at_us, set_by in connection.execute("SELECT * FROM items").fetchall():
            item = AdminItem(ItemKind(kind), name, content, set_at_us / _US_PER_S, set_by)
            if erasure.belongs(item.kind, name):
                count += 1
                left = erasure.leave(item)
                if left is None:
                    connection.execute(_GONE, (kind, name))
                else:
                    connection.execute(_LEFT, (left.content, at_us, left.set_by, kind, name))
        for version, kind, name in connection.execute("SELECT version, kind, name FROM changes").fetchall():
            # What was to be forgotten stood in the mark.
            is_mark = kind == mark.kind and name == mark.name
            if is_mark or erasure.belongs(ItemKind(kind), name):
                count += not is_mark
                connection.execute(_HIDDEN, (mark.name, version))
        connection.execute(_SET, (mark.kind.value, mark.name, mark.content, at_us, mark.set_by))
        (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM changes").fetchone()
        change = (version + 1, at_us, mark.set_by, mark.kind.value, mark.name, mark.content)
        connection.execute(_CHANGED, change)
        connection.execute("COMMIT")
    return count
