"""Anthropic's Message Batches.

Source: the types of the anthropic SDK 2.12 (`messages.batches`), checked 2026-11-24.
"""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec
import orjson

from bursar.adapters.batch.destination import Connection
from bursar.adapters.batch.job_requests import LISTED_MAX, ask, cancelled, expired
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.jobs import JobCall, JobResult, JobView

_CLOCK_SKEW_S = 300.0
_PASSING_KINDS = frozenset(("rate_limit_error", "api_error", "overloaded_error", "timeout_error"))


class _Counts(msgspec.Struct):
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        return self.processing + self.succeeded + self.errored + self.canceled + self.expired


class _MessageBatch(msgspec.Struct):
    id: str
    processing_status: str
    created_at: datetime
    request_counts: _Counts = msgspec.field(default_factory=_Counts)


class _MessageBatches(msgspec.Struct):
    data: list[_MessageBatch]


class _MessageResult(msgspec.Struct):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


class _MessageError(msgspec.Struct):
    type: str = ""
    message: str = "the provider failed"


class _MessageErrorResponse(msgspec.Struct):
    error: _MessageError


class _MessageLine(msgspec.Struct):
    custom_id: str
    result: _MessageResult


class AnthropicJobs:
    """Anthropic's Message Batches.

    Args:
        connection: To Anthropic, or to a gateway before it.
    """

    _PATH = "/v1/messages/batches"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def submit(self, name: str, calls: Sequence[JobCall]) -> str:
        """Hand a job over; see `jobs.JobApi.submit`."""
        del name
        rows = [b'{"custom_id":%b,"params":%b}' % (orjson.dumps(c.custom_id), c.body) for c in calls]
        body = b'{"requests":[' + b",".join(rows) + b"]}"
        answer = await ask(self._connection, "POST", self._PATH, body)
        return msgspec.json.decode(answer, type=_MessageBatch).id

    async def look(self, job: str) -> JobView:
        """Return how a job stands; see `jobs.JobApi.look`."""
        answer = await ask(self._connection, "GET", self._below(job))
        batch = msgspec.json.decode(answer, type=_MessageBatch)
        return JobView(job, batch.processing_status == "ended", batch.processing_status.replace("_", " "))

    async def results(self, view: JobView) -> list[JobResult]:
        """Return how a job's calls ended; see `jobs.JobApi.results`."""
        content = await ask(self._connection, "GET", f"{self._below(view.job)}/results")
        return [_read_message(line) for line in content.splitlines() if line.strip()]

    async def cancel(self, job: str) -> None:
        """Ask for a job to end early; see `jobs.JobApi.cancel`."""
        await ask(self._connection, "POST", f"{self._below(job)}/cancel")

    async def find(self, name: str, calls: int, at_s: float) -> list[str]:
        """Return the jobs that it may be: nothing of ours is shown before their end, so by size and time."""
        del name
        answer = await ask(self._connection, "GET", f"{self._PATH}?limit={LISTED_MAX}")
        found = msgspec.json.decode(answer, type=_MessageBatches).data
        earliest_s = at_s - _CLOCK_SKEW_S
        return [
            b.id for b in found if b.request_counts.total == calls and b.created_at.timestamp() >= earliest_s
        ]

    def _below(self, job: str) -> str:
        return f"{self._PATH}/{quote(job, safe='')}"


def _read_message(line: bytes) -> JobResult:
    row = msgspec.json.decode(line, type=_MessageLine)
    result = row.result
    match result.type:
        case "succeeded":
            return JobResult(row.custom_id, bytes(result.message))
        case "expired":
            return expired(row.custom_id)
        case "canceled":
            return cancelled(row.custom_id)
        case _:
            error = _anthropic_error(result.error)
            kind = FaultKind.FAILED if error.type in _PASSING_KINDS else FaultKind.REJECTED
            return JobResult(row.custom_id, None, kind, error.message)


def _anthropic_error(raw: bytes) -> "_MessageError":
    """Return the error itself of an error response."""
    try:
        return msgspec.json.decode(raw, type=_MessageErrorResponse).error
    except msgspec.DecodeError:
        return _MessageError()
