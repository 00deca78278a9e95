"""The admin store in one SQLite file."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import NullPool

from bursar.adapters.admin.schema import ADMIN, changes, items
from bursar.adapters.sqlite.connection import reader_connection, writer_connection
from bursar.adapters.sqlite.opening import StoreFile, failing
from bursar.domain.admin import AdminChange, AdminItem, AdminState, ItemKind
from bursar.errors import BadSetting, ChangedMeanwhile, StoreFailed

FILE_NAME = "admin.db"

TEXT_CHARS_MAX = 64 * 1024
"""Characters of a name or content at most."""

_US_PER_S = 1_000_000


class SqliteAdmin(StoreFile):
    """A `ports.AdminStore` in a file. Thread-safe: each method opens a connection of its own.

    Args:
        path: The file, at the newest schema.
    """

    kind = ADMIN
    file_name = FILE_NAME

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._reading = create_engine(
            "sqlite://", creator=lambda: reader_connection(path), poolclass=NullPool
        )
        self._writing = create_engine(
            "sqlite://", creator=lambda: writer_connection(path), poolclass=NullPool
        )
        for engine, begin in ((self._reading, "BEGIN"), (self._writing, "BEGIN IMMEDIATE")):
            _begin_with(engine, begin)

    def version(self) -> int:
        """Return the state's version; see `ports.AdminStore`."""
        with failing(ADMIN, self._path), closing(reader_connection(self._path)) as connection:
            (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM changes").fetchone()
            return int(version)

    def read(self) -> AdminState:
        """Return all that is set; see `ports.AdminStore`."""
        with failing(ADMIN, self._path), self._reading.connect() as connection:
            version = _version(connection)
            rows = connection.execute(select(items).order_by(items.c.name)).mappings().all()
        state: dict[ItemKind, dict[str, AdminItem]] = {kind: {} for kind in ItemKind}
        for row in rows:
            item = AdminItem(
                _kind(row["kind"]), row["name"], row["content"], _seconds(row["set_at_us"]), row["set_by"]
            )
            state[item.kind][item.name] = item
        return AdminState(version, state)

    def put(self, item: AdminItem, expected: str | UnsetType | None = UNSET) -> AdminChange | None:
        """Set an item; see `ports.AdminStore`."""
        for what, text in (("its name", item.name), ("its content", item.content), ("who", item.set_by)):
            _check(what, text)
        return self._change(item, item.content, expected)

    def remove(self, kind: ItemKind, name: str, by: str, at_s: float) -> AdminChange | None:
        """Remove an item; see `ports.AdminStore`."""
        _check("who", by)
        return self._change(AdminItem(kind, name, "", at_s, by), None)

    def changes(self, limit: int = 100, before_version: int | None = None) -> Sequence[AdminChange]:
        """Return the last changes; see `ports.AdminStore`."""
        statement = select(changes).order_by(changes.c.version.desc()).limit(limit)
        if before_version is not None:
            statement = statement.where(changes.c.version < before_version)
        with failing(ADMIN, self._path), self._reading.connect() as connection:
            return [_change_of(row) for row in connection.execute(statement).mappings()]

    def _change(
        self, item: AdminItem, after: str | None, expected: str | UnsetType | None = UNSET
    ) -> AdminChange | None:
        at_us = round(item.set_at_s * _US_PER_S)
        here = (items.c.kind == item.kind.value) & (items.c.name == item.name)
        with failing(ADMIN, self._path), self._writing.begin() as connection:
            before = connection.execute(select(items.c.content).where(here)).scalar()
            if expected is not UNSET and before != expected:
                raise ChangedMeanwhile(
                    f"the {item.kind.value} {item.name!r} was changed by somebody else at the same time; "
                    f"look at it, and try again"
                )
            if before == after:
                return None
            if after is None:
                connection.execute(items.delete().where(here))
            else:
                values = {"content": after, "set_at_us": at_us, "set_by": item.set_by}
                connection.execute(
                    insert(items)
                    .values(kind=item.kind.value, name=item.name, **values)
                    .on_conflict_do_update(index_elements=["kind", "name"], set_=values)
                )
            change = AdminChange(
                _version(connection) + 1, _seconds(at_us), item.set_by, item.kind, item.name, before, after
            )
            connection.execute(
                changes.insert().values(
                    version=change.version,
                    at_us=at_us,
                    by=change.by,
                    kind=change.kind.value,
                    name=change.name,
                    before=before,
                    after=after,
                )
            )
        return change


def _version(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(changes.c.version), 0))).scalar_one())


def _change_of(row: Mapping[Any, Any]) -> AdminChange:
    return AdminChange(
        version=row["version"],
        at_s=_seconds(row["at_us"]),
        by=row["by"],
        kind=_kind(row["kind"]),
        name=row["name"],
        before=row["before"],
        after=row["after"],
    )


def _kind(text: str) -> ItemKind:
    try:
        return ItemKind(text)
    except ValueError:
        # To pass over what may be a limit would be to lift it.
        raise StoreFailed(
            f"the admin store has a {text!r}, which this Bursar does not know; upgrade it"
        ) from None


def _seconds(us: int) -> float:
    return us / _US_PER_S


def _check(what: str, text: str) -> None:
    if len(text) > TEXT_CHARS_MAX:
        raise BadSetting(f"{what} has {len(text)} characters; at most {TEXT_CHARS_MAX} are kept")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadSetting(f"{what} is no Unicode text") from None


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction] -- SQLAlchemy calls it.
        connection.exec_driver_sql(statement)
