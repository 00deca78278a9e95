"""Entries and tallies as rows of the ledger's tables, and back."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from sqlalchemy import Integer, Text

from bursar.adapters.ledger.schema import (
    COMPONENT_COST_COLUMNS,
    COMPONENT_TOKEN_COLUMNS,
    TECHNIQUE_COLUMNS,
    TOKEN_COLUMNS,
    TOOL_COLUMNS,
    WOULD_SAVE_COLUMNS,
    entries,
)
from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Attempt, Component, ComponentShare, CostBasis, Entry, Status, Technique
from bursar.domain.report import Tally
from bursar.domain.usage import Usage

Cell = str | int | None
Row = tuple[Cell, ...]

US_PER_S = 1_000_000
US_PER_HOUR = 3_600_000_000

QUANTITY_MAX = 2**53
"""No count or amount of one call may reach this (9 million USD), so that sums stay within 64 bits."""

_encode = msgspec.json.Encoder().encode
_attempts = msgspec.json.Decoder(tuple[Attempt, ...])
_components = msgspec.json.Decoder(dict[Component, ComponentShare])
_shares = msgspec.json.Decoder(dict[Technique, int])
_pairs = msgspec.json.Decoder(tuple[tuple[str, str], ...])
_names = msgspec.json.Decoder(tuple[str, ...])

# Looking a value up here takes a sixth of what an enum member takes to give it.
_STATUS_CELLS = {status: status.value for status in Status}
_BASIS_CELLS = {basis: basis.value for basis in CostBasis}

_NO_USAGE: Row = (None,) * (len(TOKEN_COLUMNS) + len(TOOL_COLUMNS))
_COLUMN_NAMES = tuple(column.name for column in entries.columns)

_usage_cells = attrgetter(*(kind.value for kind, _ in (*TOKEN_COLUMNS, *TOOL_COLUMNS)))
_texts = itemgetter(*(at for at, column in enumerate(entries.columns) if isinstance(column.type, Text)))
_numbers = itemgetter(*(at for at, column in enumerate(entries.columns) if isinstance(column.type, Integer)))


def at_us(at_s: float) -> int:
    """Return a time in whole microseconds, the ledger's resolution."""
    return round(at_s * US_PER_S)


def _json(value: object) -> str:
    return _encode(value).decode()


def entry_row(entry: Entry) -> Row:
    """Write an entry as a row of `entries`, cells in column order.

    Raises:
        ValueError: A text is no Unicode, or a quantity is beyond `QUANTITY_MAX`: nothing that a
            provider bills.
    """
    who = entry.attribution
    usage = entry.usage
    row: Row = (
        entry.operation_id,
        at_us(entry.at_s),
        who.tenant,
        who.agent,
        who.task,
        who.conversation,
        who.user,
        entry.dialect,
        entry.model,
        entry.attempts[-1].model if entry.attempts else "",
        entry.mode,
        int(entry.stream),
        _STATUS_CELLS[entry.status],
        entry.http_status,
        entry.latency_ms,
        entry.overhead_us,
        entry.thread,
        entry.turn,
        *(_NO_USAGE if usage is None else _usage_cells(usage)),
        entry.cost_nusd,
        entry.cost_max_nusd,
        entry.baseline_nusd,
        _BASIS_CELLS[entry.basis],
        _json(usage.other) if usage is not None and usage.other else "[]",
        _json(entry.attempts),
        _json(entry.components),
        _json(entry.shares),
        _json(entry.would_save) if entry.would_save else "{}",
        _json(who.tags) if who.tags else "[]",
        _json(entry.faults) if entry.faults else "[]",
        who.key,
        _json(entry.decisions) if entry.decisions else "[]",
    )
    _check(row)
    return row


def _check(row: Row) -> None:
    text = "".join(_texts(row))
    if not text.isascii():
        text.encode()
    known: tuple[int | None, ...] = _numbers(row)
    numbers = sorted(filter(None, known))
    if numbers and (numbers[-1] >= QUANTITY_MAX or numbers[0] <= -QUANTITY_MAX):
        raise ValueError(f"{max(numbers, key=abs)} is beyond any quantity of one call")


def entry_of(row: Sequence[Any]) -> Entry:
    """Read an entry back from a row of `entries`, cells in column order."""
    cell: dict[str, Any] = dict(zip(_COLUMN_NAMES, row, strict=True))
    return Entry(
        operation_id=cell["operation_id"],
        at_s=cell["at_us"] / US_PER_S,
        attribution=Attribution(
            tenant=cell["tenant"],
            agent=cell["agent"],
            task=cell["task"],
            conversation=cell["conversation"],
            user=cell["user"],
            tags=_pairs.decode(cell["tags"]),
            key=cell["key"],
        ),
        dialect=cell["dialect"],
        model=cell["model"],
        mode=cell["mode"],
        stream=bool(cell["stream"]),
        status=Status(cell["status"]),
        http_status=cell["http_status"],
        latency_ms=cell["latency_ms"],
        overhead_us=cell["overhead_us"],
        thread=cell["thread"],
        turn=cell["turn"],
        attempts=_attempts.decode(cell["attempts"]),
        usage=_usage_of(cell),
        components=_components.decode(cell["components"]),
        cost_nusd=cell["cost_nusd"],
        cost_max_nusd=cell["cost_max_nusd"],
        baseline_nusd=cell["baseline_nusd"],
        shares=_shares.decode(cell["shares"]),
        basis=CostBasis(cell["basis"]),
        faults=_names.decode(cell["faults"]),
        would_save=_shares.decode(cell["would_save"]),
        decisions=_names.decode(cell["decisions"]),
    )


def _usage_of(cell: Mapping[str, Any]) -> Usage | None:
    if cell[TOKEN_COLUMNS[0][1]] is None:
        return None
    counts = {kind.value: cell[name] for kind, name in (*TOKEN_COLUMNS, *TOOL_COLUMNS)}
    return Usage(**counts, other=_names.decode(cell["other_usage"]))


def rollup_key(entry: Entry) -> Row:
    """Return the roll-up that an entry belongs to: hour, tenant, agent, model, task."""
    who = entry.attribution
    return (at_us(entry.at_s) // US_PER_HOUR, who.tenant, who.agent, entry.model, who.task)


def rollup_row(key: Row, tally: Tally) -> Row:
    """Write a tally as a row of `rollups`, cells in column order: columns and maps follow the same enums."""
    return (
        *key,
        tally.calls,
        tally.unknown_calls,
        tally.uncompared_calls,
        tally.cost_nusd,
        tally.baseline_nusd,
        tally.saved_nusd,
        tally.estimated_nusd,
        tally.estimated_max_nusd,
        *tally.tokens.values(),
        *tally.techniques.values(),
        *tally.would_save.values(),
        *tally.component_tokens.values(),
        *tally.component_nusd.values(),
    )


def tally_of(number: Callable[[str], int]) -> Tally:
    """Read a tally back from sums.

    Args:
        number: Gives the sum of one of `SUM_COLUMNS`.
    """
    return Tally(
        calls=number("calls"),
        unknown_calls=number("unknown_calls"),
        uncompared_calls=number("uncompared_calls"),
        tokens={kind.value: number(name) for kind, name in TOKEN_COLUMNS},
        cost_nusd=number("cost_nusd"),
        baseline_nusd=number("baseline_nusd"),
        saved_nusd=number("saved_nusd"),
        estimated_nusd=number("estimated_nusd"),
        estimated_max_nusd=number("estimated_max_nusd"),
        techniques={technique: number(name) for technique, name in TECHNIQUE_COLUMNS},
        would_save={technique: number(name) for technique, name in WOULD_SAVE_COLUMNS},
        component_tokens={component: number(name) for component, name in COMPONENT_TOKEN_COLUMNS},
        component_nusd={component: number(name) for component, name in COMPONENT_COST_COLUMNS},
    )
