"""OpenAI's files of purpose `batch`, and its batches.

Source: the types of the openai SDK 3.54 (`batches`, `files`) and the API reference, checked 2026-11-24.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from bursar.domain.jobs import JobLimits
from bursar.double.batches.forms import read_form
from bursar.double.batches.jobs import Job, JobBook, JobResult, ResultKind
from bursar.double.batches.pages import LINES, Page, Visit, after, batch_call, limit_of
from bursar.double.calls import DoubleCall
from bursar.double.openai.face import OpenAIFace
from bursar.double.openai.shape import invalid
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import Json, JsonObject

PREFIXES = ("/v1/files", "/v1/batches")

_ENDPOINT = "/v1/chat/completions"
_JOB_PREFIX, _FILE_PREFIX = "batch_", "file-"
_EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    owner: str
    filename: str
    purpose: str
    content: bytes
    created_at_s: float

    def shown(self) -> JsonObject:
        return {
            "id": self.name,
            "object": "file",
            "bytes": len(self.content),
            "created_at": int(self.created_at_s),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


@dataclass(slots=True)
class _Order:
    """What OpenAI keeps of a batch beside the job: what was said when it was made, and its files."""

    input_file: str
    metadata: Json
    created_at_s: float
    owner: str
    errors: list[JsonObject] = field(default_factory=list[JsonObject])
    files: dict[str, str | None] = field(default_factory=dict[str, str | None])


class Batches:
    """Serves `/v1/files` and `/v1/batches`.

    Args:
        jobs: Where jobs are.
        limits: What one may hold.
    """

    def __init__(self, jobs: JobBook, limits: JobLimits) -> None:
        self._jobs = jobs
        self._limits = limits
        self._face = OpenAIFace()
        self._files: dict[str, _File] = {}
        self._orders: dict[str, _Order] = {}

    def reset(self) -> None:
        """Forget all files and batches."""
        self._files.clear()
        self._orders.clear()

    def answer(self, visit: Visit) -> Page | None:
        """Answer a request below one of `PREFIXES`; None where there is no such page."""
        try:
            return self._answer(visit, self._face.credential(visit.headers))
        except Refused as refused:
            return Page(refused.refusal.status, self._face.error(refused.refusal, ""))

    def _answer(self, visit: Visit, owner: str) -> Page | None:
        match visit.method, visit.path.strip("/").split("/")[1:]:
            case "POST", ["files"]:
                return self._upload(visit, owner)
            case "GET", ["files", name]:
                return Page(200, orjson.dumps(self._file(name, owner).shown()))
            case "GET", ["files", name, "content"]:
                return Page(200, self._file(name, owner).content, LINES)
            case "POST", ["batches"]:
                return self._create(visit, owner)
            case "GET", ["batches"]:
                return self._list(visit, owner)
            case "GET", ["batches", name]:
                return Page(200, orjson.dumps(self._shown(name, owner)))
            case "POST", ["batches", name, "cancel"]:
                return self._cancel(name, visit, owner)
            case _:
                return None

    def _upload(self, visit: Visit, owner: str) -> Page:
        form = read_form(visit.headers.get("content-type", ""), visit.body)
        if "file" not in form or "purpose" not in form:
            raise Refused(invalid("A multipart form with `file` and `purpose` is required.", "file", None))
        content = form["file"].content
        if len(content) > self._limits.bytes_max:
            raise Refused(self._face.too_large())
        purpose = form["purpose"].content.decode("utf-8", "replace")
        return Page(
            200, orjson.dumps(self._keep(owner, form["file"].filename, purpose, content, visit.now_s).shown())
        )

    def _keep(self, owner: str, filename: str, purpose: str, content: bytes, now_s: float) -> _File:
        file = _File(self._jobs.new_name(_FILE_PREFIX), owner, filename, purpose, content, now_s)
        self._files[file.name] = file
        return file

    def _file(self, name: str, owner: str) -> _File:
        file = self._files.get(name)
        if file is None or file.owner != owner:
            raise Refused(Refusal(404, "invalid_request_error", f"No such File object: {name}", None, "id"))
        return file

    def _create(self, visit: Visit, owner: str) -> Page:
        try:
            found: Json = orjson.loads(visit.body)
        except orjson.JSONDecodeError as error:
            raise Refused(self._face.malformed(str(error))) from None
        asked = cast("JsonObject", found) if isinstance(found, dict) else {}
        if asked.get("endpoint") != _ENDPOINT:
            raise Refused(invalid(f"The double serves {_ENDPOINT} only.", "endpoint", "invalid_value"))
        if asked.get("completion_window") != "24h":
            raise Refused(invalid("Only '24h' is supported.", "completion_window", "invalid_value"))
        file = self._file(str(asked.get("input_file_id")), owner)
        calls, errors = _read_calls(file.content, visit.headers["authorization"], self._limits)
        name = self._jobs.new_name(_JOB_PREFIX)
        self._orders[name] = _Order(file.name, asked.get("metadata"), visit.now_s, owner, errors)
        if not errors:
            self._jobs.add(name, owner, calls, visit.now_s)
        return Page(200, orjson.dumps(self._shown(name, owner)))

    def _list(self, visit: Visit, owner: str) -> Page:
        names = [name for name, order in reversed(self._orders.items()) if order.owner == owner]
        rows = after([self._shown(name, owner) for name in names], visit.query, "after")
        shown = rows[: limit_of(visit.query)]
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
        return Page(
            200,
            orjson.dumps({"object": "list", "data": shown, "has_more": len(shown) < len(rows), **ends}),
        )

    def _cancel(self, name: str, visit: Visit, owner: str) -> Page:
        job = self._jobs.find(name, owner)
        if job is not None and job.ended_at_s is None and job.cancelled_at_s is None:
            job.cancelled_at_s = visit.now_s
        return Page(200, orjson.dumps(self._shown(name, owner)))

    def _shown(self, name: str, owner: str) -> JsonObject:
        order = self._orders.get(name)
        if order is None or order.owner != owner:
            raise Refused(Refusal(404, "invalid_request_error", f"No batch found with id '{name}'.", None))
        job = self._jobs.find(name, owner)
        files = order.files if job is None else self._result_files(order, job)
        status = "failed" if job is None else _status(job)
        ended_at = None if job is None or job.ended_at_s is None else int(job.ended_at_s)
        return {
            "id": name,
            "object": "batch",
            "endpoint": _ENDPOINT,
            "errors": {"object": "list", "data": order.errors} if order.errors else None,
            "input_file_id": order.input_file,
            "completion_window": "24h",
            "status": status,
            "output_file_id": files.get("output"),
            "error_file_id": files.get("error"),
            "created_at": int(order.created_at_s),
            "expires_at": None if job is None else int(job.expires_at_s),
            "completed_at": ended_at if status == "completed" else None,
            "expired_at": ended_at if status == "expired" else None,
            "cancelled_at": ended_at if status == "cancelled" else None,
            "request_counts": _counts(job),
            "metadata": order.metadata,
        }

    def _result_files(self, order: _Order, job: Job) -> Mapping[str, str | None]:
        """Return the ids of a job's files, which are made once it has ended."""
        if job.ended_at_s is None or order.files:
            return order.files
        good = [r for r in job.results if r.kind is ResultKind.SUCCEEDED]
        bad = [r for r in job.results if r.kind is not ResultKind.SUCCEEDED]
        for purpose, results in (("output", good), ("error", bad)):
            lines = [orjson.dumps(_line(result)) for result in results]
            content = b"\n".join([*lines, b""])
            kept = self._keep(
                job.owner, f"{job.name}_{purpose}.jsonl", "batch_output", content, job.ended_at_s
            )
            order.files[purpose] = kept.name if lines else None
        return order.files


def _read_calls(
    content: bytes, authorization: str, limits: JobLimits
) -> tuple[list[tuple[str, DoubleCall]], list[JsonObject]]:
    """Read an input file; a batch whose file has errors fails as a whole."""
    calls: dict[str, DoubleCall] = {}
    errors: list[JsonObject] = []
    lines = content.splitlines()
    if not lines or len(lines) > limits.requests_max:
        return [], [_error(None, "invalid_file", f"A file has 1 to {limits.requests_max} requests.")]
    for number, line in enumerate(lines, start=1):
        try:
            row: Json = orjson.loads(line)
        except orjson.JSONDecodeError:
            errors.append(_error(number, "invalid_json_line", "This line is not parseable as valid JSON."))
            continue
        members = cast("JsonObject", row) if isinstance(row, dict) else {}
        custom_id, body = members.get("custom_id"), members.get("body")
        if not isinstance(custom_id, str) or not isinstance(body, dict):
            errors.append(_error(number, "missing_required_parameter", "custom_id and body are required."))
        elif members.get("method") != "POST" or members.get("url") != _ENDPOINT:
            errors.append(_error(number, "invalid_url", f"method and url must be POST and {_ENDPOINT}."))
        elif custom_id in calls:
            errors.append(_error(number, "duplicate_custom_id", f"custom_id '{custom_id}' is a duplicate."))
        else:
            headers = {"authorization": authorization}
            calls[custom_id] = batch_call(_ENDPOINT, headers, orjson.dumps(body))
    return list(calls.items()), errors


def _error(line: int | None, code: str, message: str) -> JsonObject:
    return {"code": code, "line": line, "message": message, "param": None}


def _status(job: Job) -> str:
    if job.ended_at_s is None:
        return "in_progress" if job.cancelled_at_s is None else "cancelling"
    if job.cancelled_at_s is not None:
        return "cancelled"
    return "expired" if job.count(ResultKind.EXPIRED) else "completed"


def _counts(job: Job | None) -> dict[str, Any]:
    if job is None:
        return {"total": 0, "completed": 0, "failed": 0}
    completed = job.count(ResultKind.SUCCEEDED)
    failed = len(job.results) - completed
    return {"total": len(job.requests), "completed": completed, "failed": failed}


def _line(result: JobResult) -> JsonObject:
    line: dict[str, Any] = {"id": f"batch_req_{result.custom_id}", "custom_id": result.custom_id}
    if result.answer is None:
        return {
            **line,
            "response": None,
            "error": _EXPIRED if result.kind is ResultKind.EXPIRED else _CANCELLED,
        }
    response = {
        "status_code": result.answer.status,
        "request_id": result.answer.headers.get("x-request-id", ""),
        "body": orjson.loads(result.answer.body),
    }
    return {**line, "response": response, "error": None}


_CANCELLED = {
    "code": "batch_cancelled",
    "message": "This request was not executed before the batch was cancelled.",
}
