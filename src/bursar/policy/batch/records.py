"""What a batch's journal says: written before each call and after it, and played to a fresh `Work`."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bursar.policy.batch.answers import Fault, FaultKind
from bursar.policy.batch.tally import Tally
from bursar.policy.batch.work import Outcome, PackedCall, Work

FORMAT = 1


class Head(msgspec.Struct, frozen=True, tag="batch", tag_field="is"):
    """The first record.

    Attributes:
        format: Of the journal.
        fingerprint: Names the work (`Assignment.fingerprint`).
        dialect: The API that is asked.
        run: Names this journal; calls and jobs are told from others' by it.
    """

    format: int
    fingerprint: str
    dialect: str
    run: str


class Sent(msgspec.Struct, frozen=True, tag="sent", tag_field="is"):
    """A call is about to be sent.

    Attributes:
        call: The call.
        job: Id of the provider's job that it is a part of; empty where it is sent by itself.
    """

    call: PackedCall
    job: str = ""


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn", tag_field="is"):
    """A call ended without having cost anything; its items wait again."""

    number: int


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="is"):
    """A call was answered.

    Attributes:
        number: The call's.
        answers: Good answers by position.
        faults: Kind and reason by position, for the other items.
        output_tokens: Without reasoning; None where unknown.
        is_cut: Whether the output limit was reached.
        cost_nusd: What it cost; None where unknown, never zero.
        alone_nusd: What its answered items would have cost one by one; None where unknown.
        extras: Answers to nothing that was asked.
        from_cache: Whether Bursar had the answer already, so that it cost nothing.
    """

    number: int
    answers: Mapping[int, Any]
    faults: Mapping[int, tuple[FaultKind, str]]
    output_tokens: int | None
    is_cut: bool
    cost_nusd: int | None
    alone_nusd: int | None
    extras: int = 0
    from_cache: bool = False

    @property
    def outcome(self) -> Outcome:
        """How it ended, for `Work.end`."""
        faults = {position: Fault(kind, reason) for position, (kind, reason) in self.faults.items()}
        return Outcome(self.answers, faults, self.output_tokens, self.is_cut)


class Failed(msgspec.Struct, frozen=True, tag="failed", tag_field="is"):
    """A call was not answered, and cost nothing.

    Attributes:
        number: The call's.
        kind: Why, for all its items.
        reason: The same for a person.
    """

    number: int
    kind: FaultKind
    reason: str

    def outcome(self, call: PackedCall) -> Outcome:
        """How it ended, for `Work.end`."""
        return Outcome({}, dict.fromkeys(call.items, Fault(self.kind, self.reason)))


class Reopened(msgspec.Struct, frozen=True, tag="reopened", tag_field="is"):
    """Items that have failed are to be asked again."""


class JobBegun(msgspec.Struct, frozen=True, tag="job", tag_field="is"):
    """A job of several calls is about to be handed to the provider.

    Attributes:
        name: Ours: the calls' ids in it begin with that.
        calls: Its calls.
        at_s: When.
    """

    name: str
    calls: tuple[PackedCall, ...]
    at_s: float


class JobAccepted(msgspec.Struct, frozen=True, tag="accepted", tag_field="is"):
    """The provider took a job, and gave it an id of its own."""

    name: str
    job: str


class JobClosed(msgspec.Struct, frozen=True, tag="closed", tag_field="is"):
    """All that a job will ever bring has been read."""

    name: str


Record = Head | Sent | Withdrawn | Ended | Failed | Reopened | JobBegun | JobAccepted | JobClosed


def take_record(record: Record, work: Work, tally: Tally) -> None:
    """Bring work and tally to the state behind a record."""
    match record:
        case Sent(call):
            work.begin(call)
        case JobBegun(_, calls):
            for call in calls:
                work.begin(call)
        case Reopened():
            work.reopen()
        case Withdrawn(number) if call := work.find(number):
            work.withdraw(call)
        case Failed(number) if call := work.find(number):
            work.end(call, record.outcome(call))
        case Ended(number) if call := work.find(number):
            work.end(call, record.outcome)
            tally.add(record.cost_nusd, record.alone_nusd, extras=record.extras)
        case _:
            pass


def take_records(records: Iterable[Record], work: Work, tally: Tally) -> None:
    """Play a journal."""
    for record in records:
        take_record(record, work, tally)


def open_jobs(records: Iterable[Record]) -> dict[str, tuple[JobBegun, str]]:
    """Return the jobs begun and not closed, by our name, each with the provider's id where that is known."""
    jobs: dict[str, tuple[JobBegun, str]] = {}
    for record in records:
        match record:
            case JobBegun(name):
                jobs[name] = (record, "")
            case JobAccepted(name, job):
                jobs[name] = (jobs[name][0], job)
            case JobClosed(name):
                jobs.pop(name, None)
            case _:
                pass
    return jobs
