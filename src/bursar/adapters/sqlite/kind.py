"""What a store is called, and how its files are told from others."""

from dataclasses import dataclass

from sqlalchemy import MetaData


@dataclass(frozen=True, slots=True)
class StoreKind:
    """One kind of store that is kept in SQLite files.

    Attributes:
        name: What messages call it, such as `ledger`.
        application_id: Marks its files (`PRAGMA application_id`).
        migrations: Where Alembic finds its steps, such as `bursar.adapters.ledger:migrations`.
        head: The newest revision; a file that is at it needs no migration.
        metadata: Its tables.
    """

    name: str
    application_id: int
    migrations: str
    head: str
    metadata: MetaData
