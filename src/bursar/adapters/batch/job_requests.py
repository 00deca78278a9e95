"""Requests about jobs, and how calls of a job end without an answer."""

from bursar.adapters.batch.destination import Connection, Response
from bursar.errors import BursarError
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.jobs import JobResult

LISTED_MAX = 100
"""How many of an account's latest jobs are looked through for one whose id nobody saw."""

PASSING_STATUS = frozenset((408, 409, 429, 500, 502, 503, 504, 529))
"""Worth another attempt."""


class JobRefused(BursarError):
    """The provider answered a request about a job with an error.

    Attributes:
        is_passing: Whether it may be answered later.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(response.reason)
        self.is_passing = response.status in PASSING_STATUS


async def ask(
    connection: Connection, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
) -> bytes:
    """Make a request about a job; return what was answered.

    Raises:
        JobRefused: The provider answered with an error.
        UpstreamFailed: There was no answer.
    """
    response = await connection.request(method, path, body, {"content-type": content_type})
    if response.status != 200:
        raise JobRefused(response)
    return response.body


def expired(custom_id: str) -> JobResult:
    """Return the end of a call that the provider did not come to."""
    return JobResult(custom_id, None, FaultKind.EXPIRED, "the provider did not come to it within a day")


def cancelled(custom_id: str) -> JobResult:
    """Return the end of a call whose job was cancelled."""
    return JobResult(custom_id, None, FaultKind.CANCELLED, "its job was cancelled")
