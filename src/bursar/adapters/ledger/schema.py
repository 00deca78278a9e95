"""The ledger's tables, for every SQL database that keeps one.

`entries` has one row per call, which only erasing its tenant changes. `rollups` holds the same calls summed
per hour and key; it is maintained in the transaction that inserts the entries, so the two never differ.
Amounts are 64-bit integers of nusd, times are microseconds since the epoch (UTC), and NULL means unknown.

What reports group and sum by is a column; what is only read back with its entry is JSON.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, text

from bursar.adapters.sqlite.kind import StoreKind
from bursar.domain.holdout import HELD_OUT
from bursar.domain.ledger import Component, Technique
from bursar.domain.usage import ServerTool, TokenClass

HEAD = "0004"
"""The newest revision in `migrations/versions`; a ledger that is at it needs no migration."""

APPLICATION_ID = 0x42525352
"""Marks a SQLite file as a ledger of Bursar's (`PRAGMA application_id`): "BRSR" in ASCII."""

TOKEN_COLUMNS: tuple[tuple[TokenClass, str], ...] = tuple((c, f"{c.value}_tokens") for c in TokenClass)
TECHNIQUE_COLUMNS: tuple[tuple[Technique, str], ...] = tuple((t, f"saved_{t.value}_nusd") for t in Technique)
WOULD_SAVE_COLUMNS: tuple[tuple[Technique, str], ...] = tuple(
    (t, f"would_save_{t.value}_nusd") for t in Technique
)
COMPONENT_TOKEN_COLUMNS: tuple[tuple[Component, str], ...] = tuple(
    (c, f"component_{c.value}_tokens") for c in Component
)
COMPONENT_COST_COLUMNS: tuple[tuple[Component, str], ...] = tuple(
    (c, f"component_{c.value}_nusd") for c in Component
)
TOOL_COLUMNS: tuple[tuple[ServerTool, str], ...] = tuple((t, f"{t.value}_requests") for t in ServerTool)

AMOUNT_COLUMNS = (
    "calls",
    "unknown_calls",
    "uncompared_calls",
    "cost_nusd",
    "baseline_nusd",
    "saved_nusd",
    "estimated_nusd",
    "estimated_max_nusd",
)

ROLLUP_KEYS = ("hour", "tenant", "agent", "model", "task")

SUM_COLUMNS: tuple[str, ...] = (
    *AMOUNT_COLUMNS,
    *(name for _, name in TOKEN_COLUMNS),
    *(name for _, name in TECHNIQUE_COLUMNS),
    *(name for _, name in WOULD_SAVE_COLUMNS),
    *(name for _, name in COMPONENT_TOKEN_COLUMNS),
    *(name for _, name in COMPONENT_COST_COLUMNS),
)
"""Every additive column of `rollups`."""

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _count(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


_IS_HELD_OUT = text(f"mode = '{HELD_OUT}'")

entries = Table(
    "entries",
    metadata,
    Column("operation_id", Text, primary_key=True),
    _count("at_us"),
    _text("tenant"),
    _text("agent"),
    _text("task"),
    _text("conversation"),
    _text("user"),
    _text("dialect"),
    _text("model"),
    _text("model_sent"),
    _text("mode"),
    Column("stream", Boolean, nullable=False),
    _text("status"),
    Column("http_status", Integer, nullable=False),
    _count("latency_ms"),
    _count("overhead_us"),
    _text("thread"),
    _count("turn"),
    *(_count(name, nullable=True) for _, name in TOKEN_COLUMNS),
    *(_count(name, nullable=True) for _, name in TOOL_COLUMNS),
    _count("cost_nusd", nullable=True),
    _count("cost_max_nusd", nullable=True),
    _count("baseline_nusd", nullable=True),
    _text("basis"),
    Column("other_usage", JSON, nullable=False),
    Column("attempts", JSON, nullable=False),
    Column("components", JSON, nullable=False),
    Column("shares", JSON, nullable=False),
    Column("would_save", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("faults", JSON, nullable=False),
    # Id of the virtual key. This and what follows came with later schemas, and a column that is added comes
    # last.
    Column("key", Text, nullable=False, server_default=""),
    Column("decisions", JSON, nullable=False, server_default=text("'[]'")),
    # Reports cut by time and then scan; any further index would cost every call and help none of them.
    Index(None, "at_us"),
    # But for calls that are held out: few, if any, and asked for by every report.
    Index("ix_entries_held_out", "at_us", sqlite_where=_IS_HELD_OUT, postgresql_where=_IS_HELD_OUT),
)

rollups = Table(
    "rollups",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, primary_key=True) for name in ROLLUP_KEYS[1:]),
    *(_count(name) for name in SUM_COLUMNS),
    # The rows are the key's own tree: one write per upsert instead of two.
    sqlite_with_rowid=False,
)

LEDGER = StoreKind("ledger", APPLICATION_ID, "bursar.adapters.ledger:migrations", HEAD, metadata)
