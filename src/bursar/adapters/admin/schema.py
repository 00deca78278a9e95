"""The admin store's tables, for every SQL database that keeps one.

`items` holds the state, `changes` every change that led to it; nothing is ever taken out of `changes`, but
for what those of an erased tenant were (`erasing.py`). Times are microseconds since the epoch (UTC).
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

from bursar.adapters.sqlite.kind import StoreKind

HEAD = "0001"
"""The newest revision in `migrations/versions`."""

APPLICATION_ID = 0x42525341
"""Marks a SQLite file as an admin store of Bursar's: "BRSA" in ASCII."""

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)

items = Table(
    "items",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("set_at_us", BigInteger, nullable=False),
    Column("set_by", Text, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    # An INTEGER key is SQLite's own row number, the last of which it finds at once.
    Column("version", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("before", Text, nullable=True),
    Column("after", Text, nullable=True),
    Index(None, "kind", "name"),
)

ADMIN = StoreKind("admin store", APPLICATION_ID, "bursar.adapters.admin:migrations", HEAD, metadata)
