"""Jobs of a provider's batch API, as far as a batch deals with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bursar.domain.jobs import JobLimits
from bursar.policy.batch.answers import FaultKind

# What a job's own frame takes for each request: its id and what is written around it.
_FRAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class JobCall:
    """One call of a job: the id that it has there, and its request's body."""

    custom_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class JobView:
    """How a job stands.

    Attributes:
        job: The provider's id.
        is_over: Whether all that it will ever bring is there.
        note: What it is doing, for a person.
        failure: Why the provider did not take it; empty where it did.
        files: Ids of the files that hold results (OpenAI).
    """

    job: str
    is_over: bool
    note: str
    failure: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobResult:
    """How one call of a job ended.

    Attributes:
        custom_id: The call's id in it.
        body: The answer; None where there is none.
        kind: Why there is none.
        reason: The same for a person.
    """

    custom_id: str
    body: bytes | None
    kind: FaultKind = FaultKind.REJECTED
    reason: str = ""


def custom_id_of(name: str, number: int) -> str:
    """Return the id that a call has in a job."""
    return f"{name}-{number}"


def number_of(name: str, custom_id: str) -> int | None:
    """Return the number of the call that an id in a job stands for; None for no call of this job."""
    prefix, _, number = custom_id.rpartition("-")
    return int(number) if prefix == name and number.isdecimal() else None


def fits(calls: Sequence[JobCall], more: JobCall, limits: JobLimits) -> bool:
    """Whether a job may hold one more call."""
    size = sum(len(call.body) + _FRAME_BYTES for call in (*calls, more))
    return len(calls) < limits.requests_max and size <= limits.bytes_max
