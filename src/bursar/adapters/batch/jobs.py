"""A provider's batch API, as a batch's jobs use it."""

from collections.abc import Sequence
from typing import Protocol

from bursar.adapters.batch.anthropic_jobs import AnthropicJobs
from bursar.adapters.batch.destination import Connection
from bursar.adapters.batch.openai_jobs import OpenAIJobs
from bursar.policy.batch.jobs import JobCall, JobResult, JobView


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
