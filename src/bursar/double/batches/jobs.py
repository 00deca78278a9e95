"""Jobs, and their course."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bursar.double.calls import DoubleAnswer, DoubleCall
from bursar.double.draws import Draw
from bursar.double.provider import ProviderDouble


class ResultKind(StrEnum):
    """How a request of a job ended."""

    SUCCEEDED = "succeeded"
    ERRORED = "errored"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One request of a job.

    Attributes:
        custom_id: The client's own name for it.
        call: The call that it stands for.
        is_late: Whether the double does not come to it in time.
    """

    custom_id: str
    call: DoubleCall
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a request ended; the answer is there where one was given, a refusal included."""

    custom_id: str
    kind: ResultKind
    answer: DoubleAnswer | None = None


@dataclass(slots=True)
class Job:
    """A job.

    Attributes:
        name: Its id.
        owner: Whose key it was handed over with; nobody else sees it.
        requests: All of them.
        created_at_s: When it was handed over.
        pace_s: Time from one answer to the next.
        expires_at_s: When it ends at the latest.
        results: Of the requests that have ended, in order.
        cancelled_at_s: When its client cancelled it; None where nobody did.
        ended_at_s: When its last request ended; None until then.
    """

    name: str
    owner: str
    requests: Sequence[JobRequest]
    created_at_s: float
    pace_s: float
    expires_at_s: float
    results: list[JobResult] = field(default_factory=list[JobResult])
    cancelled_at_s: float | None = None
    ended_at_s: float | None = None

    def count(self, kind: ResultKind) -> int:
        """Return how many requests ended so."""
        return sum(result.kind is kind for result in self.results)

    def advance(self, now_s: float, answer: Callable[[DoubleCall, float], DoubleAnswer]) -> None:
        """Let everything happen that was due by now."""
        if self.ended_at_s is not None:
            return
        ends_at_s = self.expires_at_s if self.cancelled_at_s is None else self.cancelled_at_s
        until_s = min(now_s, ends_at_s)
        done = {result.custom_id for result in self.results}
        for number, request in enumerate(self.requests, start=1):
            due_at_s = self.created_at_s + number * self.pace_s
            if due_at_s <= until_s and request.custom_id not in done and not request.is_late:
                given = answer(request.call, due_at_s)
                kind = ResultKind.SUCCEEDED if given.status == 200 else ResultKind.ERRORED
                self.results.append(JobResult(request.custom_id, kind, given))
        if now_s >= ends_at_s:
            self._end(ResultKind.EXPIRED if self.cancelled_at_s is None else ResultKind.CANCELED)
            self.ended_at_s = ends_at_s
        elif len(self.results) == len(self.requests):
            self.ended_at_s = self.created_at_s + len(self.requests) * self.pace_s

    def _end(self, kind: ResultKind) -> None:
        done = {result.custom_id for result in self.results}
        self.results += [JobResult(r.custom_id, kind) for r in self.requests if r.custom_id not in done]


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How jobs go.

    Attributes:
        duration_s: How long one takes, by the double's clock.
        late_rate: Share of the requests that are not answered in time.
        window_s: When a job ends at the latest.
    """

    duration_s: float = 5.0
    late_rate: float = 0.0
    window_s: float = 86_400.0


class JobBook:
    """All jobs. Not thread-safe.

    Args:
        provider: Answers and bills their requests.
        options: How they go.
    """

    def __init__(self, provider: ProviderDouble, options: JobOptions) -> None:
        self._provider = provider
        self._options = options
        self._jobs: dict[str, Job] = {}
        self._made = 0

    def reset(self) -> None:
        """Forget all jobs."""
        self._jobs.clear()

    def new_name(self, prefix: str) -> str:
        """Return an id that was not given before."""
        self._made += 1
        return f"{prefix}{self._made:024x}"

    def add(self, name: str, owner: str, calls: Sequence[tuple[str, DoubleCall]], now_s: float) -> Job:
        """Take a job.

        Args:
            name: Its id.
            owner: Whose it is.
            calls: The client's names, and what they stand for.
            now_s: When it was handed over.
        """
        requests = [JobRequest(custom_id, call, self._is_late(call)) for custom_id, call in calls]
        job = Job(
            name=name,
            owner=owner,
            requests=requests,
            created_at_s=now_s,
            pace_s=self._options.duration_s / max(1, len(requests)),
            expires_at_s=now_s + self._options.window_s,
        )
        self._jobs[name] = job
        return job

    def find(self, name: str, owner: str) -> Job | None:
        """Return a job of a client's own."""
        job = self._jobs.get(name)
        return job if job is not None and job.owner == owner else None

    def owned(self, owner: str, prefix: str) -> list[Job]:
        """Return a client's jobs of one API, the latest first."""
        jobs = reversed(self._jobs.values())
        return [job for job in jobs if job.owner == owner and job.name.startswith(prefix)]

    def advance(self, now_s: float) -> None:
        """Let everything happen that was due by now, in all jobs."""
        for job in self._jobs.values():
            job.advance(now_s, self._answer)

    def _answer(self, call: DoubleCall, at_s: float) -> DoubleAnswer:
        return self._provider.play(call, at_s)[0]

    def _is_late(self, call: DoubleCall) -> bool:
        return Draw(call.body).happens("late", self._options.late_rate)
