"""A batch by jobs: all its calls at once, through the provider's own batch API, at its own price.

A job is journalled before it is handed over, and again with the provider's id once that is known. A crash in
between leaves a job whose id nobody saw: the provider's list is searched for it, and what looks like it is
told by its calls' ids. So no job is paid for twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bursar.adapters.batch.job_requests import JobRefused
from bursar.adapters.batch.jobs import JobApi
from bursar.domain.jobs import JobLimits
from bursar.drivers.batch.state import BatchState, BatchStopped
from bursar.errors import UpstreamFailed
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.jobs import JobCall, JobResult, JobView, custom_id_of, fits, number_of
from bursar.policy.batch.judging import Charged, write_call
from bursar.policy.batch.records import (
    Failed,
    JobAccepted,
    JobBegun,
    JobClosed,
    Withdrawn,
    open_jobs,
)
from bursar.policy.batch.work import PackedCall

T = TypeVar("T")

_TIER = "batch"
_ATTEMPTS_MAX = 8
_PAUSE_MAX_S = 60.0


class JobRunner:
    """Hands a batch's calls over in jobs, and takes their results in.

    Args:
        state: The batch.
        api: The provider's batch API.
        limits: What one job may hold.
        poll_s: How often a job is looked at.
        now: Gives the time, in seconds since the epoch.
    """

    def __init__(
        self,
        state: BatchState,
        api: JobApi,
        limits: JobLimits,
        *,
        poll_s: float,
        now: Callable[[], float],
    ) -> None:
        self._state = state
        self._api = api
        self._limits = limits
        self._poll_s = poll_s
        self._now = now
        self._jobs = open_jobs(state.journal.records)
        self._made = sum(isinstance(record, JobBegun) for record in state.journal.records)

    @property
    def left(self) -> int:
        """How many jobs an earlier run has left at the provider."""
        return len(self._jobs)

    async def run(self) -> None:
        """Run jobs, those that an earlier run has left first, until no items are left.

        Raises:
            BatchStopped: The provider takes no job, or cannot be reached.
        """
        for begun, job in list(self._jobs.values()):
            await self._follow(begun, job or await self._recover(begun))
        if not self._state.is_stopping:
            self._see_to_single_calls()
        while not self._state.is_stopping:
            job = self._pack()
            if job is None:
                return
            await self._follow(job, await self._submit(job))

    def _see_to_single_calls(self) -> None:
        """See to what an earlier run has sent by calls, and of which it saw no answer."""
        for call in self._state.work.under_way:
            if self._state.asks_unseen:
                self._state.write(Withdrawn(call.number))
            else:
                self._state.report_unseen(call)

    def _pack(self) -> JobBegun | None:
        """Return the next job, which has begun with that; None where no call is left."""
        work = self._state.work
        calls: list[PackedCall] = []
        packed: list[JobCall] = []
        name = f"{self._state.journal.head.run}-{self._made + 1}"
        while (call := work.next()) is not None:
            job_call = JobCall(custom_id_of(name, call.number), self._body(call))
            if packed and not fits(packed, job_call, self._limits):
                work.withdraw(call)
                break
            calls.append(call)
            packed.append(job_call)
        if not calls:
            return None
        self._made += 1
        begun = JobBegun(name, tuple(calls), self._now())
        self._state.write(begun)
        return begun

    def _body(self, call: PackedCall) -> bytes:
        return write_call(self._state.assignment, self._state.work.items, call)

    async def _submit(self, begun: JobBegun) -> str:
        calls = [JobCall(custom_id_of(begun.name, call.number), self._body(call)) for call in begun.calls]
        self._note("handing over")
        try:
            job = await self._api.submit(begun.name, calls)
        except JobRefused as refused:
            self._abandon(begun)
            raise BatchStopped(f"the provider takes no job: {refused}") from None
        except UpstreamFailed as failure:
            if not failure.sent:
                self._abandon(begun)
            raise BatchStopped(f"{failure}; run the same again later") from None
        self._state.write(JobAccepted(begun.name, job))
        return job

    async def _recover(self, begun: JobBegun) -> str | None:
        """Return the provider's id of a job of which it was not seen; None where it never arrived."""
        self._note("looking for a job that was handed over")
        known = {job for _, job in self._jobs.values() if job}
        found = await self._patiently(lambda: self._api.find(begun.name, len(begun.calls), begun.at_s))
        for job in found:
            if job not in known and await self._is_ours(begun, job):
                self._state.write(JobAccepted(begun.name, job))
                return job
        self._abandon(begun)
        return None

    async def _is_ours(self, begun: JobBegun, job: str) -> bool:
        view = await self._await_end(job)
        if view is None:
            raise BatchStopped("interrupted while a job was looked for; the same command goes on")
        results = await self._patiently(lambda: self._api.results(view))
        return any(number_of(begun.name, result.custom_id) is not None for result in results)

    async def _follow(self, begun: JobBegun, job: str | None) -> None:
        """Wait for a job's end, and take in what it brought."""
        if job is None:
            return
        view = await self._await_end(job)
        if view is None:
            return
        if view.failure:
            self._abandon(begun)
            raise BatchStopped(f"the provider did not take the job {job}: {view.failure}")
        results = await self._patiently(lambda: self._api.results(view))
        self._take(begun, results)
        self._state.job_note = ""
        self._state.write(JobClosed(begun.name))

    def _take(self, begun: JobBegun, results: list[JobResult]) -> None:
        calls = {call.number: call for call in begun.calls}
        for result in results:
            call = calls.pop(number_of(begun.name, result.custom_id) or 0, None)
            # Results that an earlier run has taken in before it was killed stay as they are.
            if call is None or self._state.work.find(call.number) is None:
                continue
            if result.body is not None:
                self._state.write(self._state.judge.read(call, result.body, Charged(tier=_TIER)))
            else:
                self._state.write(Failed(call.number, result.kind, result.reason))
        for number in calls:
            if self._state.work.find(number) is not None:
                self._state.write(Failed(number, FaultKind.FAILED, "the job's results lack it"))

    async def _await_end(self, job: str) -> JobView | None:
        """Look at a job until it is over; None where the batch is to stop before."""
        while not self._state.is_stopping:
            view = await self._patiently(lambda: self._api.look(job))
            self._note(f"job {job} {view.note}")
            if view.is_over:
                return view
            await asyncio.sleep(self._poll_s)
        return None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again while that may help: what is asked here costs nothing, and changes nothing."""
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            try:
                return await ask()
            except (JobRefused, UpstreamFailed) as failure:
                is_passing = not isinstance(failure, JobRefused) or failure.is_passing
                if not is_passing or attempt == _ATTEMPTS_MAX:
                    raise BatchStopped(f"{failure}; the job goes on, and so does the same command") from None
            await asyncio.sleep(min(2.0**attempt, _PAUSE_MAX_S))
        raise AssertionError("the last attempt returns or raises")

    def _abandon(self, begun: JobBegun) -> None:
        """Take note that a job does not exist: its calls wait again."""
        for call in begun.calls:
            if self._state.work.find(call.number) is not None:
                self._state.write(Withdrawn(call.number))
        self._state.write(JobClosed(begun.name))

    def _note(self, text: str) -> None:
        self._state.job_note = text
        self._state.watch(self._state)
