"""Both batch APIs behind one door."""

from collections.abc import Mapping

from bursar.domain.jobs import JobLimits
from bursar.double.batches.anthropic import PREFIX as MESSAGE_BATCHES
from bursar.double.batches.anthropic import MessageBatches
from bursar.double.batches.jobs import JobBook, JobOptions
from bursar.double.batches.openai import PREFIXES as OPENAI_BATCHES
from bursar.double.batches.openai import Batches
from bursar.double.batches.pages import Page, Visit
from bursar.double.provider import ProviderDouble

_PREFIXES = (MESSAGE_BATCHES, *OPENAI_BATCHES)


class BatchDesk:
    """Serves the batch APIs of a provider double.

    Args:
        provider: Answers and bills what jobs hold.
        options: How jobs go.
        limits: What a job may hold, by dialect.
    """

    def __init__(
        self, provider: ProviderDouble, options: JobOptions, limits: Mapping[str, JobLimits]
    ) -> None:
        self._jobs = JobBook(provider, options)
        self._anthropic = MessageBatches(self._jobs, limits["anthropic.messages"])
        self._openai = Batches(self._jobs, limits["openai.chat"])
        self.body_bytes_max = max(limit.bytes_max for limit in limits.values())

    def serves(self, path: str) -> bool:
        """Whether a path is one of these APIs'."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in _PREFIXES)

    def answer(self, visit: Visit) -> Page | None:
        """Answer a request to a path that is served; None where there is no such page."""
        self.advance(visit.now_s)
        pages = self._anthropic if visit.path.startswith(MESSAGE_BATCHES) else self._openai
        return pages.answer(visit)

    def advance(self, now_s: float) -> None:
        """Let everything happen that was due by now."""
        self._jobs.advance(now_s)

    def reset(self) -> None:
        """Forget everything."""
        self._jobs.reset()
        self._openai.reset()
