"""The outbox's tables. Times are microseconds since the epoch (UTC), but for those of windows: seconds.

A notice is a row, too: `kind` says what was found (of all others it says "budget"), `period` holds its topic,
and its window is the second in which it was found. Nothing else that belongs to budgets says anything of it.

`crossed_at_us` and the window are by the clock that calls go by; all other times by the wall's, which all
processes share.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from bursar.adapters.sqlite.kind import StoreKind

HEAD = "0002"
"""The newest revision in `migrations/versions`."""

APPLICATION_ID = 0x4252534E
"""Marks a SQLite file as an outbox of Bursar's: "BRSN" in ASCII."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("start_s", BigInteger, nullable=False),
    Column("at_per_mille", Integer, nullable=False),
    Column("end_s", BigInteger, nullable=True),
    Column("limit", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("zone", Text, nullable=False),
    Column("actions", Text, nullable=False),
    Column("crossed_at_us", BigInteger, nullable=False),
    Column("is_passed", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("acked_at_us", BigInteger, nullable=True),
    Column("acked_by", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="budget"),
    UniqueConstraint("scope", "unit", "period", "start_s", "at_per_mille"),
)

_IS_PENDING = text("outcome = 'pending'")

deliveries = Table(
    "deliveries",
    metadata,
    Column("alert_id", Integer, ForeignKey("alerts.id"), primary_key=True),
    Column("notifier", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("due_at_us", BigInteger, nullable=False),
    Column("leased_until_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger, nullable=True),
    # What is pending is looked for every few seconds, and is nearly nothing.
    Index("ix_deliveries_pending", "due_at_us", sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING),
)

OUTBOX = StoreKind("alert outbox", APPLICATION_ID, "bursar.adapters.alerts:migrations", HEAD, metadata)
"""The outbox in one SQLite file."""
