"""OpenAI's batches of Chat Completions, with their files.

Source: the types of the openai SDK 3.54 (`batches`, `files`), checked 2026-11-24.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import orjson

from bursar.adapters.batch.destination import Connection, Response
from bursar.adapters.batch.job_requests import LISTED_MAX, PASSING_STATUS, ask, cancelled, expired
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.jobs import JobCall, JobResult, JobView


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
        """Hand a job over; see `jobs.JobApi.submit`."""
        line = b'{"custom_id":%b,"method":"POST","url":"/v1/chat/completions","body":%b}'
        lines = b"\n".join([line % (orjson.dumps(call.custom_id), call.body) for call in calls])
        file = await self._upload(name, lines)
        order = {
            "input_file_id": file,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"bursar_job": name},
        }
        answer = await ask(self._connection, "POST", "/batches", orjson.dumps(order))
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
        answer = await ask(self._connection, "POST", "/files", form, content_type)
        return msgspec.json.decode(answer, type=_FileId).id

    async def look(self, job: str) -> JobView:
        """Return how a job stands; see `jobs.JobApi.look`."""
        answer = await ask(self._connection, "GET", f"/batches/{quote(job, safe='')}")
        batch = msgspec.json.decode(answer, type=_Batch)
        files = tuple(file for file in (batch.output_file_id, batch.error_file_id) if file)
        failure = str(batch.errors) if batch.status == "failed" else ""
        is_over = batch.status in self._OVER or bool(failure)
        return JobView(job, is_over, batch.status.replace("_", " "), failure, files)

    async def results(self, view: JobView) -> list[JobResult]:
        """Return how a job's calls ended; see `jobs.JobApi.results`."""
        found: list[JobResult] = []
        for file in view.files:
            content = await ask(self._connection, "GET", f"/files/{quote(file, safe='')}/content")
            found += [_read_line(line) for line in content.splitlines() if line.strip()]
        return found

    async def cancel(self, job: str) -> None:
        """Ask for a job to end early; see `jobs.JobApi.cancel`."""
        await ask(self._connection, "POST", f"/batches/{quote(job, safe='')}/cancel")

    async def find(self, name: str, calls: int, at_s: float) -> list[str]:
        """Return the job: its metadata names it."""
        del calls, at_s
        answer = await ask(self._connection, "GET", f"/batches?limit={LISTED_MAX}")
        found = msgspec.json.decode(answer, type=_Batches).data
        return [batch.id for batch in found if (batch.metadata or {}).get("bursar_job") == name]


def _read_line(line: bytes) -> JobResult:
    row = msgspec.json.decode(line, type=_Line)
    if row.response is not None:
        body = bytes(row.response.body)
        if row.response.status_code == 200:
            return JobResult(row.custom_id, body)
        reason = Response(row.response.status_code, {}, body).reason
        is_passing = row.response.status_code in PASSING_STATUS
        kind = FaultKind.FAILED if is_passing else FaultKind.REJECTED
        return JobResult(row.custom_id, None, kind, reason)
    code = row.error.code if row.error is not None else None
    if code == "batch_expired":
        return expired(row.custom_id)
    if code == "batch_cancelled":
        return cancelled(row.custom_id)
    message = row.error.message if row.error is not None else None
    return JobResult(row.custom_id, None, FaultKind.FAILED, message or "the provider failed")
