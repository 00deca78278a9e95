"""Holds the provider's own bill, the ledger and the budgets' counters beside each other."""

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.crowd import Outcome, labels_of, scopes_of
from bursar.adapters.budgets.connection import RedisOptions
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.adapters.budgets_rebuild import find_drift, kept_windows, open_windows
from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.domain.budgets import Budget
from bursar.domain.money import nusd_from_usd
from bursar.domain.prices import PER_MILLE

_HEADERS = {"x-api-key": "bench", "anthropic-version": "2023-06-01", "content-type": "application/json"}
_OUTPUT_NUSD = 15_000
"""What a token costs that the probe's model answers with, about."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the provider's bill says.

    Attributes:
        total_nusd: All of it.
        over_nusd: What it is over the limits, of all scopes together, beyond what estimates leave open.
        fullest: Of each kind of scope, what the fullest has spent of its limit, in thousandths.
        charged_twice: Operation ids that were billed more than once.
    """

    total_nusd: int
    over_nusd: int
    fullest: Mapping[str, int]
    charged_twice: int


@dataclass(frozen=True, slots=True)
class Books:
    """How what was recorded compares.

    Attributes:
        held: What is still held, in units of any kind.
        drift: What counters and ledger differ by.
        lost: Calls that were answered and are not in the ledger.
        doubled: Calls that are in the ledger more than once.
        beyond_nusd: What calls with usage cost by the ledger, less what the provider billed for them.
    """

    held: int
    drift: int
    lost: int
    doubled: int
    beyond_nusd: int


def read_bill(url: str, data: Path, limits_nusd: Mapping[str, int], grace_per_mille: int) -> Spent:
    """Read the bill of a provider double, whose calls tell their conversations.

    What the ledger's estimates leave open, of streams that were cut or left, is not taken for overspent:
    no provider says what those cost.
    """
    rows = read_rows(url)
    open_nusd = _left_open(data)
    spent_nusd: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for kind, scope in scopes_of(row["conversation"]).items():
            spent_nusd[kind, scope] += row["nusd"]
    over_nusd, fullest = 0, dict.fromkeys(limits_nusd, 0)
    for (kind, scope), nusd in spent_nusd.items():
        limit_nusd = limits_nusd[kind]
        most_nusd = limit_nusd * (PER_MILLE + grace_per_mille) // PER_MILLE + open_nusd[kind, scope]
        over_nusd += max(0, nusd - most_nusd)
        fullest[kind] = max(fullest[kind], nusd * PER_MILLE // limit_nusd)
    times = Counter(row["operation_id"] for row in rows if row["nusd"])
    return Spent(
        total_nusd=sum(row["nusd"] for row in rows),
        over_nusd=over_nusd,
        fullest=fullest,
        charged_twice=sum(count > 1 for count in times.values()),
    )


def _left_open(data: Path) -> Counter[tuple[str, str]]:
    """Return by how much each scope's calls may have cost more than the ledger estimates."""
    left: Counter[tuple[str, str]] = Counter()
    for entry in LedgerReader.open(data).entries():
        if entry.cost_nusd is not None and entry.cost_max_nusd is not None:
            for kind, scope in scopes_of(entry.attribution.conversation).items():
                left[kind, scope] += entry.cost_max_nusd - entry.cost_nusd
    return left


def read_rows(url: str) -> list[dict[str, Any]]:
    """Return the rows of a double's bill, with what each costs in `nusd`."""
    rows: list[dict[str, Any]] = _get(f"{url}/bill?by=call")["rows"]
    return [row | {"nusd": nusd_from_usd(row["cost_usd"])} for row in rows if row["status"] == 200]


def reset(url: str) -> None:
    """Let a double forget all."""
    _get(f"{url}/reset", b"")


def audit_ledger(data: Path, url: str, outcome: Outcome) -> tuple[int, int, int]:
    """Return calls lost, calls doubled, and nusd that measured calls cost beyond the bill."""
    entries = list(LedgerReader.open(data).entries())
    recorded = Counter(entry.operation_id for entry in entries)
    billed = {row["operation_id"]: row["nusd"] for row in read_rows(url)}
    answered = set(outcome.answered)
    beyond_nusd = sum(
        abs((entry.cost_nusd or 0) - billed.get(entry.operation_id, 0))
        for entry in entries
        if entry.operation_id in answered
    )
    lost = sum(operation_id not in recorded for operation_id in answered)
    return lost, sum(count > 1 for count in recorded.values()), beyond_nusd


async def audit_redis(url: str, data: Path, budgets: Iterable[Budget]) -> tuple[int, int]:
    """Return what is held in a Redis, and what its counters differ from the ledger by."""
    ledger = LedgerReader.open(data)
    now_s = max(entry.at_s for entry in ledger.entries())
    windows = open_windows(budgets, now_s) | kept_windows(now_s)
    store = RedisBudgets.open(url, RedisOptions())
    try:
        drifts = await find_drift(store, ledger, windows, now_s)
        levels = await store.read(list(ledger.settled(windows)), now_s)
    finally:
        await store.close()
    drift = sum(abs(one.settled.amount - one.level.settled) for one in drifts)
    return sum(level.held for level in levels), drift


def probe_organisation(url: str, who: str, limit_nusd: int) -> tuple[int, int] | None:
    """Return what a gateway says that its organisation has spent, and holds; None if it has room for more.

    Args:
        url: The gateway's.
        who: Who asks: somebody who has not asked before.
        limit_nusd: What one conversation may take: one that has not begun is to fit within that, so that
            the organisation is what stands in its way.
    """
    asked = {
        "model": "claude-sonnet-4-6",
        "max_tokens": limit_nusd * 9 // 10 // _OUTPUT_NUSD,
        "messages": [{"role": "user", "content": "How much is left?"}],
    }
    headers = _HEADERS | labels_of(".".join([who] * 4))
    request = urllib.request.Request(f"{url}/v1/messages", json.dumps(asked).encode(), headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - the same
            return None
    except urllib.error.HTTPError as refused:
        error: dict[str, Any] = json.loads(refused.read())["error"]
        if error.get("scope") != "organisation":
            return None
        return nusd_from_usd(error["spent_usd"]), nusd_from_usd(error["held_usd"])


def ledger_nusd(data: Path) -> int:
    """Return what all calls cost by the ledger."""
    return LedgerReader.open(data).report(()).total.cost_nusd


def fullest_text(fullest: Mapping[str, int], kinds: Sequence[str]) -> str:
    """Write shares of limits in per cent, one after another."""
    return " ".join(f"{fullest[kind] / 10:5.1f}" for kind in kinds)


def _get(url: str, data: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as response:  # noqa: S310 - loopback
        return json.loads(response.read())
