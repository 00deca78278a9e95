"""What the double has charged: totals at once, and a row for every call."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar.domain.money import usd_text
from bursar.domain.usage import Usage

_ROWS_MAX = 500_000


@dataclass(frozen=True, slots=True)
class BillRow:
    """One call on the bill.

    Attributes:
        number: The call's number since the start or the last reset.
        operation_id: The request's own (`x-bursar-operation-id`); empty where unsaid.
        conversation: The request's own; empty where unsaid.
        model: The model it asked for; empty where unreadable.
        status: HTTP status.
        usage: What was billed; nothing for a refusal or a failure.
        cost_nusd: What it cost.
        aborted: Whether the client left before the end.
        cut: Whether the double cut the connection.
        injected: Whether it is a failure that was asked for.
    """

    number: int
    operation_id: str
    conversation: str
    model: str
    status: int
    usage: Usage
    cost_nusd: int
    aborted: bool = False
    cut: bool = False
    injected: bool = False

    @property
    def billed(self) -> bool:
        """Whether an answer was given, and not a refusal or a failure."""
        return self.status == 200

    def as_json(self) -> dict[str, Any]:
        """Return it as `GET /bill?by=call` shows it."""
        return {
            "call": self.number,
            "operation_id": self.operation_id,
            "conversation": self.conversation,
            "model": self.model,
            "status": self.status,
            "tokens": self.usage.tokens(),
            "web_searches": self.usage.web_search,
            "cost_usd": usd_text(self.cost_nusd),
            "aborted": self.aborted,
            "cut": self.cut,
        }


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    cost_nusd: int = 0
    web_searches: int = 0
    tokens: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, row: BillRow, tokens: Mapping[str, int]) -> None:
        self.calls += 1
        self.cost_nusd += row.cost_nusd
        self.web_searches += row.usage.web_search
        for name, count in tokens.items():
            self.tokens[name] = self.tokens.get(name, 0) + count

    def as_json(self) -> dict[str, Any]:
        return {
            "cost_usd": usd_text(self.cost_nusd),
            "calls": self.calls,
            "tokens": self.tokens,
            "web_searches": self.web_searches,
        }


class Bill:
    """Sums over all calls, and the latest rows.

    Args:
        rows_max: How many rows are kept. One takes about 0.5 KB. Sums are of all calls all the same.
    """

    def __init__(self, rows_max: int = _ROWS_MAX) -> None:
        self._rows: deque[BillRow] = deque(maxlen=rows_max)
        self._total = _Tally()
        self._by_model: dict[str, _Tally] = {}
        self._counts = {"refused": 0, "failed": 0, "aborted": 0, "cut": 0}
        self._added = 0

    def add(self, row: BillRow) -> None:
        """Take a row in."""
        self._rows.append(row)
        self._added += 1
        if row.billed:
            tokens = row.usage.tokens()
            self._total.add(row, tokens)
            self._by_model.setdefault(row.model, _Tally()).add(row, tokens)
            self._counts["aborted"] += row.aborted
            self._counts["cut"] += row.cut
        else:
            self._counts["failed" if row.injected else "refused"] += 1

    @property
    def cost_nusd(self) -> int:
        """What all calls cost."""
        return self._total.cost_nusd

    def summary(self) -> dict[str, Any]:
        """Return it as `GET /bill` shows it."""
        models: Mapping[str, _Tally] = self._by_model
        return {
            **self._total.as_json(),
            **self._counts,
            "by_model": {model: models[model].as_json() for model in sorted(models)},
        }

    def rows(self) -> tuple[BillRow, ...]:
        """Return the rows that are kept, in the order in which calls ended."""
        return tuple(self._rows)

    def by_call(self) -> dict[str, Any]:
        """Return it as `GET /bill?by=call` shows it."""
        return {
            **self.summary(),
            "rows": [row.as_json() for row in self._rows],
            "rows_dropped": self._added - len(self._rows),
        }
