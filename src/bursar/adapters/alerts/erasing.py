"""Taking a tenant out of the alerts: its own leave, and what others' messages say of it."""

from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from bursar.adapters.alerts.outbox import FILE_NAME
from bursar.adapters.alerts.schema import OUTBOX
from bursar.adapters.alerts.statements import FORGET, FORGET_DELIVERIES
from bursar.adapters.sqlite.connection import reader_connection
from bursar.adapters.sqlite.erasing import erasing
from bursar.adapters.sqlite.opening import exists, failing
from bursar.domain.scopes import Scope, ScopeKind
from bursar.policy.alerts.messages import one_line

_ORGANISATION = str(Scope.organisation())
_KEY = str(Scope(ScopeKind.KEY))

_SCOPES = "SELECT id, scope, body FROM alerts"
_HIDE = "UPDATE alerts SET body = ? WHERE id = ?"
_HIDDEN = "What this said was erased, since it named what belonged to a tenant that was erased."


def erase_alerts(
    data_dir: Path, belongs: Callable[[str], bool], names: Collection[str], *, is_dry_run: bool = False
) -> int:
    """Delete a tenant's alerts, and what others say that may name something of it, for good.

    A message names whatever drove the spending. Whether a name in it is the tenant's or another's of the same
    name, nobody knows, so that it leaves.

    Args:
        data_dir: The data directory.
        belongs: Whether a scope, as `str(Scope)`, is the tenant's.
        names: Names of the tenant, its agents and conversations.
        is_dry_run: Whether they are only counted.

    Returns:
        How many alerts those were.

    Raises:
        StoreFailed: It could not be done; trying again is safe.
    """
    path = data_dir / FILE_NAME
    if not exists(OUTBOX, path):
        return 0
    if is_dry_run:
        with failing(OUTBOX, path), closing(reader_connection(path)) as connection:
            rows = connection.execute(_SCOPES).fetchall()
        return sum(belongs(scope) or _is_told(scope, body, names) for _, scope, body in rows)
    with erasing(OUTBOX, path, is_small=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        count = 0
        for alert_id, scope, body in connection.execute(_SCOPES).fetchall():
            if belongs(scope):
                connection.execute(FORGET_DELIVERIES, (alert_id,))
                connection.execute(FORGET, (alert_id,))
                count += 1
            elif _is_told(scope, body, names):
                connection.execute(_HIDE, (_HIDDEN, alert_id))
                count += 1
        connection.execute("COMMIT")
    return count


def _is_told(scope: str, body: str, names: Collection[str]) -> bool:
    """Whether a message may name one of a tenant's names among what drove the spending."""
    # Those of tenants, and of what is theirs, name their own only.
    if scope != _ORGANISATION and not scope.startswith(_KEY):
        return False
    return any(f"{one_line(name)} (" in body for name in names)
