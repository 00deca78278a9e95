"""What the pages of both batch APIs have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bursar.double.calls import DoubleCall
from bursar.double.shapes import JsonObject

JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-jsonl"}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request to a batch API.

    Attributes:
        method: HTTP method.
        path: Below the host.
        query: Its first value by name.
        headers: Names in lower case.
        body: As it came.
        now_s: When.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now_s: float


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def batch_call(path: str, headers: Mapping[str, str], body: bytes) -> DoubleCall:
    """Return the call that a job's request stands for, billed at the batch rate."""
    return DoubleCall(path, headers, body, tier="batch")


def limit_of(query: Mapping[str, str], default: int = 20) -> int:
    """Return how many rows of a list were asked for."""
    stated = query.get("limit", "")
    return min(1000, max(1, int(stated))) if stated.isdecimal() else default


def after(rows: list[JsonObject], query: Mapping[str, str], name: str) -> list[JsonObject]:
    """Return the rows behind the one that a query names."""
    wanted = query.get(name)
    ids = [row["id"] for row in rows]
    return rows[ids.index(wanted) + 1 :] if wanted in ids else rows
