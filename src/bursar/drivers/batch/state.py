"""A batch while it runs: its work, its journal, its money, and who watches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bursar.errors import BursarError
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.judging import Judge
from bursar.policy.batch.prompt import Assignment
from bursar.policy.batch.records import Failed, Head, Record, take_record, take_records
from bursar.policy.batch.tally import Tally
from bursar.policy.batch.work import PackedCall, Work


class BatchStopped(BursarError):
    """A batch could not go on; what it has is kept, and the same command goes on later."""


class Journal(Protocol):
    """Where a batch's records are kept."""

    @property
    def head(self) -> Head:
        """The first record."""
        ...

    @property
    def records(self) -> list[Record]:
        """The others that were there when it was opened."""
        ...

    def append(self, record: Record) -> None:
        """Keep a record; it is kept when this returns."""
        ...


def _unwatched(state: "BatchState") -> None:
    del state


@dataclass(slots=True)
class BatchState:
    """A batch while it runs.

    Attributes:
        assignment: What is asked.
        work: What is still to be done.
        journal: Where it is written down.
        judge: Reads answers.
        asks_unseen: Whether calls that were sent, and whose answers nobody saw, are asked again even where
            that may be paid twice.
        watch: Told after every change.
        tally: What it has cost.
        resumed_calls: Calls that were answered before this run.
        asked_twice: Calls that had to be answered anew, since a first answer was lost: if there was one, it
            was paid for too.
        is_stopping: Whether no further call is to be made.
        job_note: What a provider's job is doing; empty without one.
    """

    assignment: Assignment
    work: Work
    journal: Journal
    judge: Judge
    asks_unseen: bool = False
    watch: Callable[["BatchState"], None] = _unwatched
    tally: Tally = field(default_factory=Tally)
    resumed_calls: int = 0
    asked_twice: int = 0
    is_stopping: bool = False
    job_note: str = ""

    def __post_init__(self) -> None:
        """Play the journal."""
        take_records(self.journal.records, self.work, self.tally)
        self.resumed_calls = self.tally.calls

    def write(self, record: Record) -> None:
        """Journal a record, then take it in. A call that was packed has begun already."""
        self.journal.append(record)
        take_record(record, self.work, self.tally)
        self.watch(self)

    def report_unseen(self, call: PackedCall) -> None:
        """Let a call's items fail, in this run only: the journal has it as sent still, for who asks again."""
        reason = (
            "it was sent, and its answer was not seen; to ask again may be paid twice: --ask-unseen does so"
        )
        take_record(Failed(call.number, FaultKind.UNSEEN, reason), self.work, self.tally)
        self.watch(self)
