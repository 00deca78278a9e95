"""Anthropic's Message Batches.

Source: the types of the anthropic SDK 2.12 (`messages.batches`) and docs.anthropic.com, checked 2026-11-24.
"""

import re
from datetime import UTC, datetime
from typing import cast

import orjson

from bursar.domain.jobs import JobLimits
from bursar.double.anthropic.face import AnthropicFace
from bursar.double.anthropic.shape import invalid
from bursar.double.batches.jobs import Job, JobBook, JobResult, ResultKind
from bursar.double.batches.pages import LINES, Page, Visit, after, batch_call, limit_of
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import Json, JsonObject

PREFIX = "/v1/messages/batches"

_JOB_PREFIX = "msgbatch_01"
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CALL_HEADERS = ("x-api-key", "authorization", "anthropic-version", "anthropic-beta")


class MessageBatches:
    """Serves `/v1/messages/batches`.

    Args:
        jobs: Where jobs are.
        limits: What one may hold.
    """

    def __init__(self, jobs: JobBook, limits: JobLimits) -> None:
        self._jobs = jobs
        self._limits = limits
        self._face = AnthropicFace()

    def answer(self, visit: Visit) -> Page | None:
        """Answer a request below `PREFIX`; None where there is no such page."""
        try:
            return self._answer(visit, self._face.credential(visit.headers))
        except Refused as refused:
            refusal = refused.refusal
            return Page(refusal.status, self._face.error(refusal, "0" * 24))

    def _answer(self, visit: Visit, owner: str) -> Page | None:
        rest = visit.path.removeprefix(PREFIX).strip("/").split("/")
        match visit.method, rest:
            case "POST", [""]:
                return self._create(visit, owner)
            case "GET", [""]:
                return self._list(visit, owner)
            case "GET", [name]:
                return Page(200, orjson.dumps(_shown(self._find(name, owner), visit)))
            case "GET", [name, "results"]:
                return self._results(self._find(name, owner))
            case "POST", [name, "cancel"]:
                return self._cancel(self._find(name, owner), visit)
            case _:
                return None

    def _find(self, name: str, owner: str) -> Job:
        job = self._jobs.find(name, owner)
        if job is None or not name.startswith(_JOB_PREFIX):
            raise Refused(Refusal(404, "not_found_error", f"Message batch {name} not found."))
        return job

    def _create(self, visit: Visit, owner: str) -> Page:
        if len(visit.body) > self._limits.bytes_max:
            raise Refused(self._face.too_large())
        headers = {name: visit.headers[name] for name in _CALL_HEADERS if name in visit.headers}
        calls = [
            (custom_id, batch_call("/v1/messages", headers, orjson.dumps(params)))
            for custom_id, params in self._requests(visit.body)
        ]
        job = self._jobs.add(self._jobs.new_name(_JOB_PREFIX), owner, calls, visit.now_s)
        return Page(200, orjson.dumps(_shown(job, visit)))

    def _requests(self, body: bytes) -> list[tuple[str, JsonObject]]:
        try:
            found: Json = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(self._face.malformed(str(error))) from None
        requests: Json = cast("JsonObject", found).get("requests") if isinstance(found, dict) else None
        if not isinstance(requests, list) or not requests:
            raise Refused(invalid("requests: List should have at least 1 item after validation"))
        rows = cast("list[Json]", requests)
        if len(rows) > self._limits.requests_max:
            raise Refused(invalid(f"requests: List should have at most {self._limits.requests_max} items"))
        taken: dict[str, JsonObject] = {}
        for index, row in enumerate(rows):
            custom_id, params = _request(row, index)
            if custom_id in taken:
                raise Refused(invalid(f"requests.{index}.custom_id: Duplicate custom_id '{custom_id}'"))
            taken[custom_id] = params
        return list(taken.items())

    def _list(self, visit: Visit, owner: str) -> Page:
        rows = [_shown(job, visit) for job in self._jobs.owned(owner, _JOB_PREFIX)]
        rows = after(rows, visit.query, "after_id")
        shown = rows[: limit_of(visit.query)]
        return Page(
            200,
            orjson.dumps(
                {
                    "data": shown,
                    "has_more": len(shown) < len(rows),
                    "first_id": shown[0]["id"] if shown else None,
                    "last_id": shown[-1]["id"] if shown else None,
                }
            ),
        )

    def _results(self, job: Job) -> Page:
        if job.ended_at_s is None:
            raise Refused(invalid(f"Message batch {job.name} has no available results."))
        lines = [orjson.dumps({"custom_id": r.custom_id, "result": _result(r)}) for r in job.results]
        return Page(200, b"\n".join([*lines, b""]), LINES)

    def _cancel(self, job: Job, visit: Visit) -> Page:
        if job.ended_at_s is not None:
            raise Refused(invalid(f"Message batch {job.name} has already ended."))
        if job.cancelled_at_s is None:
            job.cancelled_at_s = visit.now_s
        return Page(200, orjson.dumps(_shown(job, visit)))


def _request(row: Json, index: int) -> tuple[str, JsonObject]:
    place = f"requests.{index}"
    if not isinstance(row, dict):
        raise Refused(invalid(f"{place}: Input should be a valid dictionary"))
    members = cast("JsonObject", row)
    custom_id, params = members.get("custom_id"), members.get("params")
    if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
        raise Refused(invalid(f"{place}.custom_id: String should match pattern '^{_CUSTOM_ID.pattern}$'"))
    if not isinstance(params, dict):
        raise Refused(invalid(f"{place}.params: Field required"))
    settings = cast("JsonObject", params)
    if settings.get("stream") or settings.get("max_tokens") == 0:
        raise Refused(invalid(f"{place}.params: stream and max_tokens: 0 are not supported in batches"))
    return custom_id, settings


def _result(result: JobResult) -> JsonObject:
    if result.answer is None:
        return {"type": result.kind.value}
    said: Json = orjson.loads(result.answer.body)
    return {"type": result.kind.value, "message" if result.kind is ResultKind.SUCCEEDED else "error": said}


def _shown(job: Job, visit: Visit) -> JsonObject:
    has_ended = job.ended_at_s is not None
    status = "in_progress" if job.cancelled_at_s is None else "canceling"
    counts = {kind.value: job.count(kind) if has_ended else 0 for kind in ResultKind}
    url = f"http://{visit.headers.get('host', 'localhost')}{PREFIX}/{job.name}/results"
    return {
        "id": job.name,
        "type": "message_batch",
        "processing_status": "ended" if has_ended else status,
        "request_counts": {"processing": 0 if has_ended else len(job.requests), **counts},
        "created_at": _time(job.created_at_s),
        "expires_at": _time(job.expires_at_s),
        "ended_at": _time(job.ended_at_s),
        "cancel_initiated_at": _time(job.cancelled_at_s),
        "archived_at": None,
        "results_url": url if has_ended else None,
    }


def _time(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
