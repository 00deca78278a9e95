"""The providers' batch APIs, as a batch's jobs use them.

Sources: the types of the anthropic SDK 2.12 and the openai SDK 3.54, checked 2026-11-24.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
import orjson

from bursar.adapters.batch.destination import Connection, Response
from bursar.errors import BursarError
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.jobs import JobCall, JobResult, JobView

_LISTED_MAX = 100
_CLOCK_SKEW_S = 300.0
_PASSING_STATUS = frozenset((408, 409, 429, 500, 502, 503, 504, 529))
_PASSING_KINDS = frozenset(("rate_limit_error", "api_error", "overloaded_error", "timeout_error"))


class JobRefused(BursarError):
    """The provider answered a request about a job with an error.

    Attributes:
        is_passing: Whether it may be answered later.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(response.reason)
        self.is_passing = response.status in _PASSING_STATUS


class JobApi(Protocol):
    """One provider's batch API.

    Raises, all methods alike:
        JobRefused: The provider answered with an error.
        UpstreamFailed: There was no answer.
    """

    async def submit(self, name: str, calls: Sequence[JobCall]) -> str:
        """Hand a job over; return the provider's id of it."""
        ...

    async def look(self, job: str) -> JobView:
        """Return how a job stands."""
        ...

    async def results(self, view: JobView) -> list[JobResult]:
        """Return how the calls of a job ended that is over."""
        ...

    async def cancel(self, job: str) -> None:
        """Ask for a job to end early; what it has answered by then is kept, and billed."""
        ...

    async def find(self, name: str, calls: int, at_s: float) -> list[str]:
        """Return the jobs that one may be whose id nobody saw.

        Args:
            name: Our name of it.
            calls: How many it had.
            at_s: When it was handed over.
        """
        ...


def job_api(connection: Connection) -> JobApi:
    """Return the batch API of a connection's destination."""
    return AnthropicJobs(connection) if connection.destination.is_anthropic else OpenAIJobs(connection)


async def _ask(
    connection: Connection, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
) -> bytes:
    response = await connection.request(method, path, body, {"content-type": content_type})
    if response.status != 200:
        raise JobRefused(response)
    return response.body


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
        """Hand a job over; see `JobApi.submit`."""
        del name
        rows = [b'{"custom_id":%b,"params":%b}' % (orjson.dumps(c.custom_id), c.body) for c in calls]
        body = b'{"requests":[' + b",".join(rows) + b"]}"
        answer = await _ask(self._connection, "POST", self._PATH, body)
        return msgspec.json.decode(answer, type=_MessageBatch).id

    async def look(self, job: str) -> JobView:
        """Return how a job stands; see `JobApi.look`."""
        answer = await _ask(self._connection, "GET", self._below(job))
        batch = msgspec.json.decode(answer, type=_MessageBatch)
        return JobView(job, batch.processing_status == "ended", batch.processing_status.replace("_", " "))

    async def results(self, view: JobView) -> list[JobResult]:
        """Return how a job's calls ended; see `JobApi.results`."""
        content = await _ask(self._connection, "GET", f"{self._below(view.job)}/results")
        return [_read_message(line) for line in content.splitlines() if line.strip()]

    async def cancel(self, job: str) -> None:
        """Ask for a job to end early; see `JobApi.cancel`."""
        await _ask(self._connection, "POST", f"{self._below(job)}/cancel")

    async def find(self, name: str, calls: int, at_s: float) -> list[str]:
        """Return the jobs that it may be: nothing of ours is shown before their end, so by size and time."""
        del name
        answer = await _ask(self._connection, "GET", f"{self._PATH}?limit={_LISTED_MAX}")
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
            return _expired(row.custom_id)
        case "canceled":
            return _cancelled(row.custom_id)
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


class _Batch(msgspec.Struct):
    id: str
    status: str
    metadata: dict[str, str] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: Any = None


class _Batches(msgspec.Struct):
    data: list[_Batch]


class _FileId(msgspec.Struct):
    id: str


class _LineResponse(msgspec.Struct):
    status_code: int
    body: msgspec.Raw


class _LineError(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Line(msgspec.Struct):
    custom_id: str
    response: _LineResponse | None = None
    error: _LineError | None = None


class OpenAIJobs:
    """OpenAI's batches of Chat Completions, with their files.

    Args:
        connection: To OpenAI, or to a gateway before it.
    """

    _OVER = frozenset(("completed", "expired", "cancelled"))

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def submit(self, name: str, calls: Sequence[JobCall]) -> str:
        """Hand a job over; see `JobApi.submit`."""
        line = b'{"custom_id":%b,"method":"POST","url":"/v1/chat/completions","body":%b}'
        lines = b"\n".join([line % (orjson.dumps(call.custom_id), call.body) for call in calls])
        file = await self._upload(name, lines)
        order = {
            "input_file_id": file,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"bursar_job": name},
        }
        answer = await _ask(self._connection, "POST", "/batches", orjson.dumps(order))
        return msgspec.json.decode(answer, type=_Batch).id

    async def _upload(self, name: str, content: bytes) -> str:
        # Our name for the job is random, so that no item can hold the boundary.
        boundary = f"bursar-{name}".encode()
        head = b'--%b\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        named = b'; filename="%b"' % f"{name}.jsonl".encode()
        form = (
            head % (boundary, b"purpose", b"", b"batch")
            + head % (boundary, b"file", named, content)
            + b"--%b--\r\n" % boundary
        )
        content_type = f"multipart/form-data; boundary={boundary.decode()}"
        answer = await _ask(self._connection, "POST", "/files", form, content_type)
        return msgspec.json.decode(answer, type=_FileId).id

    async def look(self, job: str) -> JobView:
        """Return how a job stands; see `JobApi.look`."""
        answer = await _ask(self._connection, "GET", f"/batches/{quote(job, safe='')}")
        batch = msgspec.json.decode(answer, type=_Batch)
        files = tuple(file for file in (batch.output_file_id, batch.error_file_id) if file)
        failure = str(batch.errors) if batch.status == "failed" else ""
        is_over = batch.status in self._OVER or bool(failure)
        return JobView(job, is_over, batch.status.replace("_", " "), failure, files)

    async def results(self, view: JobView) -> list[JobResult]:
        """Return how a job's calls ended; see `JobApi.results`."""
        found: list[JobResult] = []
        for file in view.files:
            content = await _ask(self._connection, "GET", f"/files/{quote(file, safe='')}/content")
            found += [_read_line(line) for line in content.splitlines() if line.strip()]
        return found

    async def cancel(self, job: str) -> None:
        """Ask for a job to end early; see `JobApi.cancel`."""
        await _ask(self._connection, "POST", f"/batches/{quote(job, safe='')}/cancel")

    async def find(self, name: str, calls: int, at_s: float) -> list[str]:
        """Return the job: its metadata names it."""
        del calls, at_s
        answer = await _ask(self._connection, "GET", f"/batches?limit={_LISTED_MAX}")
        found = msgspec.json.decode(answer, type=_Batches).data
        return [batch.id for batch in found if (batch.metadata or {}).get("bursar_job") == name]


def _read_line(line: bytes) -> JobResult:
    row = msgspec.json.decode(line, type=_Line)
    if row.response is not None:
        body = bytes(row.response.body)
        if row.response.status_code == 200:
            return JobResult(row.custom_id, body)
        reason = Response(row.response.status_code, {}, body).reason
        is_passing = row.response.status_code in _PASSING_STATUS
        kind = FaultKind.FAILED if is_passing else FaultKind.REJECTED
        return JobResult(row.custom_id, None, kind, reason)
    code = row.error.code if row.error is not None else None
    if code == "batch_expired":
        return _expired(row.custom_id)
    if code == "batch_cancelled":
        return _cancelled(row.custom_id)
    message = row.error.message if row.error is not None else None
    return JobResult(row.custom_id, None, FaultKind.FAILED, message or "the provider failed")


def _expired(custom_id: str) -> JobResult:
    return JobResult(custom_id, None, FaultKind.EXPIRED, "the provider did not come to it within a day")


def _cancelled(custom_id: str) -> JobResult:
    return JobResult(custom_id, None, FaultKind.CANCELLED, "its job was cancelled")
