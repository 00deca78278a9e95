"""Batches run to their end whatever becomes of their calls, their jobs and their process."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from batch_cases import assignment, label, labels, tickets, work
from bursar.adapters.batch.destination import Destination, Response
from bursar.adapters.batch.jobs import job_api
from bursar.adapters.batch.journal import MemoryJournal
from bursar.adapters.batch_limits import load_batch_limits
from bursar.domain.jobs import JobLimits
from bursar.double.batches.desk import BatchDesk
from bursar.double.batches.jobs import JobOptions
from bursar.double.batches.pages import Visit
from bursar.double.calls import DoubleCall, DoubleOptions
from bursar.double.labels import LabelBook
from bursar.drivers.batch.calls import CallRunner
from bursar.drivers.batch.jobs import JobRunner
from bursar.drivers.batch.state import BatchState, BatchStopped
from bursar.errors import UpstreamFailed
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.judging import Judge
from bursar.policy.batch.records import FORMAT, Head, JobAccepted, JobBegun, Record, Sent
from bursar.wiring.double import build_double
from scripted_world import world_data

NOW_S = 1_790_000_000.0
MODELS = {"anthropic.messages": "claude-haiku-4-5", "openai.chat": "gpt-4o-mini"}
KEYS = {
    "anthropic.messages": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "openai.chat": {"authorization": "Bearer k"},
}
BOTH = pytest.mark.parametrize("dialect", list(MODELS))


class Killed(Exception):
    """What a process does not survive."""


class Provider:
    """The provider double where a batch's connection leads, without a network.

    Attributes:
        troubles: What happens to the next requests instead of an answer: a status, a failure, or a failure
            (`"lost"`) after the provider has answered.
    """

    def __init__(self, dialect: str, count: int, *, is_gateway: bool = False, **options: Any) -> None:
        book = LabelBook(options.pop("fault_rate", 0.0))
        for each in labels(count):
            book.add(each)
        self.double = build_double(DoubleOptions(), labels=book)
        self.desk = BatchDesk(self.double, JobOptions(**options), load_batch_limits())
        self.destination = Destination("http://127.0.0.1:9", dialect, is_gateway=is_gateway)
        self.now_s = NOW_S
        self.troubles: list[int | str | Exception] = []
        self.asked = 0
        self._kept: dict[bytes, bytes] = {}

    @property
    def calls(self) -> int:
        return int(self.double.bill.summary()["calls"])

    async def call(self, body: bytes, key: str) -> Response:
        del key
        self.asked += 1
        await asyncio.sleep(0)
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, int):
            return Response(trouble, {"retry-after": "0"}, b'{"error": {"message": "so"}}')
        if isinstance(trouble, Exception):
            raise trouble
        dialect = self.destination.dialect
        path = "/v1/messages" if dialect.startswith("anthropic") else "/v1/chat/completions"
        headers: dict[str, str] = {}
        if self.destination.is_gateway and body in self._kept:
            answer, headers = self._kept[body], {"x-bursar-cache": "hit", "x-bursar-cost-usd": "0.000000000"}
        else:
            given, _ = self.double.play(DoubleCall(path, KEYS[dialect], body), self.now_s)
            answer = self._kept[body] = given.body
        if trouble == "lost":
            raise Killed
        return Response(200, headers, answer)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, int):
            return Response(trouble, {}, b'{"error": {"message": "so"}}')
        if isinstance(trouble, Exception):
            raise trouble
        bare, _, query = path.partition("?")
        whole = bare if bare.startswith("/v1") else f"/v1{bare}"
        self.now_s += 1.0
        queried = dict(pair.split("=") for pair in query.split("&") if pair)
        sent = {**KEYS[self.destination.dialect], **(headers or {})}
        page = self.desk.answer(Visit(method, whole, queried, sent, body, self.now_s))
        assert page is not None
        if trouble == "lost":
            raise Killed
        return Response(page.status, {}, page.body)


def state_of(
    provider: Provider, count: int, records: list[Record] | None = None, *, ask_unseen: bool = False
) -> BatchState:
    dialect = provider.destination.dialect
    asked = assignment(MODELS[dialect], dialect)
    items = tickets(count)
    journal = MemoryJournal(Head(FORMAT, "", dialect, "run"))
    journal.records = records if records is not None else []
    judge = Judge(asked, items, world_data()[0].price(asked.model, NOW_S))
    return BatchState(asked, work(items, fixed=3), journal, judge, asks_unseen=ask_unseen)


async def run_calls(state: BatchState, provider: Provider) -> None:
    await CallRunner(state, provider, concurrency=3).run()  # type: ignore[arg-type]


async def run_jobs(state: BatchState, provider: Provider, limits: JobLimits | None = None) -> None:
    api = job_api(provider)  # type: ignore[arg-type]
    own = limits or load_batch_limits()[provider.destination.dialect]
    await JobRunner(state, api, own, poll_s=0, now=lambda: NOW_S).run()


def check_all_is_right(state: BatchState, count: int) -> None:
    assert state.work.is_done
    assert state.work.answers == {n: label(n) for n in range(count)}
    assert not state.work.failed


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = asyncio.sleep

    async def at_once(_: float) -> None:
        await sleep(0)

    monkeypatch.setattr("bursar.drivers.batch.calls.asyncio.sleep", at_once)


@BOTH
@pytest.mark.parametrize("fault_rate", [0.0, 0.4])
async def test_every_item_gets_its_answer_though_some_are_answered_wrongly(
    dialect: str, fault_rate: float
) -> None:
    provider = Provider(dialect, 20, fault_rate=fault_rate)
    state = state_of(provider, 20)
    await run_calls(state, provider)
    check_all_is_right(state, 20)
    assert bool(state.work.retries) is bool(fault_rate)
    assert (state.tally.calls, state.tally.spent_nusd) == (provider.calls, provider.double.bill.cost_nusd)


@pytest.mark.parametrize("trouble", [429, 500, 529, UpstreamFailed("gone", sent=False)])
async def test_what_passes_is_tried_again_and_paid_once(trouble: int | Exception) -> None:
    provider = Provider("anthropic.messages", 6)
    provider.troubles = [trouble, trouble]
    state = state_of(provider, 6)
    await run_calls(state, provider)
    check_all_is_right(state, 6)
    assert (provider.calls, provider.asked) == (2, 4)


@pytest.mark.parametrize(("status", "message"), [(401, "401: so"), (402, "402: so"), (404, "404: so")])
async def test_what_does_not_pass_stops_the_batch_and_loses_nothing(status: int, message: str) -> None:
    provider = Provider("anthropic.messages", 3)
    provider.troubles = [status, status, status]
    state = state_of(provider, 1)
    with pytest.raises(BatchStopped, match=message):
        await run_calls(state, provider)
    records = state.journal.records
    provider.troubles = []
    again = state_of(provider, 1, records)
    await run_calls(again, provider)
    check_all_is_right(again, 1)


async def test_a_request_that_is_rejected_is_split_until_the_item_at_fault_stands_alone() -> None:
    provider = Provider("anthropic.messages", 6)
    provider.troubles = [None, 400, 400]  # type: ignore[list-item]
    state = state_of(provider, 6)
    await run_calls(state, provider)
    check_all_is_right(state, 6)


async def test_a_stop_lets_calls_under_way_end_and_starts_no_more() -> None:
    provider = Provider("anthropic.messages", 30)
    state = state_of(provider, 30)

    def watch(seen: BatchState) -> None:
        seen.is_stopping = bool(seen.work.answers)

    state.watch = watch
    await run_calls(state, provider)
    assert not state.work.is_done
    assert not state.work.under_way
    assert len(state.work.answers) == 3 * provider.calls


async def test_requests_that_are_all_rejected_stop_the_batch_after_a_few() -> None:
    provider = Provider("anthropic.messages", 30)
    provider.troubles = [400] * 100
    state = state_of(provider, 30)
    with pytest.raises(BatchStopped, match="400: so"):
        await run_calls(state, provider)
    assert provider.asked < 15
    assert not state.work.is_done


async def test_what_a_gateway_no_longer_has_is_asked_anew_and_said_so() -> None:
    provider = Provider("anthropic.messages", 9, is_gateway=True)
    provider.troubles = [None, "lost"]  # type: ignore[list-item]
    first = state_of(provider, 9)
    with pytest.raises(BaseExceptionGroup):
        await run_calls(first, provider)
    provider._kept.clear()
    again = state_of(provider, 9, first.journal.records)
    lost = len(again.work.under_way)
    await run_calls(again, provider)
    check_all_is_right(again, 9)
    assert again.asked_twice == lost > 0


@BOTH
@pytest.mark.parametrize("killed_at", range(1, 8))
async def test_a_batch_that_is_killed_goes_on_at_a_gateway_and_pays_nothing_twice(
    dialect: str, killed_at: int
) -> None:
    provider = Provider(dialect, 20, is_gateway=True, fault_rate=0.2)
    provider.troubles = [None] * killed_at + ["lost"]  # type: ignore[list-item]
    first = state_of(provider, 20)
    with pytest.raises(BaseExceptionGroup):
        await run_calls(first, provider)
    again = state_of(provider, 20, first.journal.records)
    assert again.work.under_way
    await run_calls(again, provider)
    check_all_is_right(again, 20)
    assert again.tally.calls == provider.calls
    assert again.tally.spent_nusd == provider.double.bill.cost_nusd


async def test_at_a_provider_what_was_not_seen_is_reported_and_asked_again_only_if_told_to() -> None:
    provider = Provider("anthropic.messages", 9)
    provider.troubles = [None, "lost"]  # type: ignore[list-item]
    first = state_of(provider, 9)
    with pytest.raises(BaseExceptionGroup):
        await run_calls(first, provider)
    again = state_of(provider, 9, list(first.journal.records))
    await run_calls(again, provider)
    unseen = {at for at, fault in again.work.failed.items() if fault.kind is FaultKind.UNSEEN}
    assert unseen
    assert unseen | again.work.answers.keys() == set(range(9))
    assert "--ask-unseen" in next(iter(again.work.failed.values())).reason
    told = state_of(provider, 9, list(again.journal.records), ask_unseen=True)
    await run_calls(told, provider)
    check_all_is_right(told, 9)


async def test_an_answer_that_broke_off_is_not_asked_for_again_at_a_provider() -> None:
    provider = Provider("anthropic.messages", 3)
    provider.troubles = [UpstreamFailed("broke off", sent=True)]
    state = state_of(provider, 3)
    await run_calls(state, provider)
    assert {fault.kind for fault in state.work.failed.values()} == {FaultKind.UNSEEN}
    assert provider.asked == 1


@BOTH
async def test_a_job_brings_all_answers_at_half_the_price(dialect: str) -> None:
    provider = Provider(dialect, 20, fault_rate=0.2, duration_s=3.0)
    state = state_of(provider, 20)
    await run_jobs(state, provider)
    check_all_is_right(state, 20)
    assert state.tally.spent_nusd == provider.double.bill.cost_nusd
    one_by_one = Provider(dialect, 20, fault_rate=0.2)
    other = state_of(one_by_one, 20)
    await run_calls(other, one_by_one)
    assert abs(2 * state.tally.spent_nusd - other.tally.spent_nusd) <= 2 * state.tally.calls


@BOTH
@pytest.mark.parametrize("killed_at", range(1, 9))
async def test_a_job_whose_process_is_killed_is_found_again_and_paid_once(
    dialect: str, killed_at: int
) -> None:
    provider = Provider(dialect, 20, fault_rate=0.2, duration_s=3.0)
    provider.troubles = [None] * (killed_at - 1) + ["lost"]  # type: ignore[list-item]
    first = state_of(provider, 20)
    with pytest.raises(Killed):
        await run_jobs(first, provider)
    again = state_of(provider, 20, first.journal.records)
    await run_jobs(again, provider)
    check_all_is_right(again, 20)
    assert again.tally.calls == provider.calls
    assert again.tally.spent_nusd == provider.double.bill.cost_nusd


@BOTH
async def test_a_job_that_was_never_handed_over_is_handed_over_anew(dialect: str) -> None:
    provider = Provider(dialect, 6, duration_s=0)
    call = state_of(provider, 6).work.next()
    assert call is not None
    begun = JobBegun("run-1", (call,), NOW_S)
    state = state_of(provider, 6, [begun])
    await run_jobs(state, provider)
    check_all_is_right(state, 6)
    names = [record.name for record in state.journal.records if isinstance(record, JobBegun)]
    assert len(set(names)) == len(names)


async def test_a_strangers_job_of_the_same_size_is_not_taken_for_ours() -> None:
    provider = Provider("anthropic.messages", 3, duration_s=0)
    stranger = {"requests": [{"custom_id": "theirs", "params": {"model": "claude-haiku-4-5"}}]}
    await provider.request("POST", "/v1/messages/batches", orjson.dumps(stranger))
    call = state_of(provider, 3).work.next()
    assert call is not None
    state = state_of(provider, 3, [JobBegun("run-1", (call,), NOW_S)])
    await run_jobs(state, provider)
    check_all_is_right(state, 3)


@BOTH
async def test_what_expires_at_the_provider_is_asked_again_and_then_reported(dialect: str) -> None:
    provider = Provider(dialect, 6, late_rate=1.0, window_s=5.0)
    state = state_of(provider, 6)
    await run_jobs(state, provider)
    assert state.work.is_done
    assert {fault.kind for fault in state.work.failed.values()} == {FaultKind.EXPIRED}
    jobs = [record for record in state.journal.records if isinstance(record, JobAccepted)]
    assert (len(jobs), len(state.work.failed), provider.calls) == (3, 6, 0)


async def test_a_job_holds_no_more_calls_than_the_provider_allows() -> None:
    provider = Provider("anthropic.messages", 12, duration_s=0)
    state = state_of(provider, 12)
    await run_jobs(state, provider, JobLimits(requests_max=2, bytes_max=1_000_000, window_s=1.0))
    check_all_is_right(state, 12)
    jobs = [record for record in state.journal.records if isinstance(record, JobBegun)]
    assert [len(job.calls) for job in jobs] == [2, 2]


async def test_a_provider_that_takes_no_job_stops_the_batch_and_loses_nothing() -> None:
    provider = Provider("anthropic.messages", 6, duration_s=0)
    provider.troubles = [403]
    state = state_of(provider, 6)
    with pytest.raises(BatchStopped, match="takes no job: 403"):
        await run_jobs(state, provider)
    again = state_of(provider, 6, state.journal.records)
    await run_jobs(again, provider)
    check_all_is_right(again, 6)


async def test_a_provider_that_is_down_for_a_while_does_not_end_the_waiting() -> None:
    provider = Provider("anthropic.messages", 6, duration_s=0)
    provider.troubles = [None, 500, UpstreamFailed("gone", sent=True), 429]  # type: ignore[list-item]
    state = state_of(provider, 6)
    await run_jobs(state, provider)
    check_all_is_right(state, 6)


async def test_calls_that_were_sent_by_themselves_are_not_asked_twice_by_a_job() -> None:
    provider = Provider("anthropic.messages", 6, duration_s=0)
    call = state_of(provider, 6).work.next()
    assert call is not None
    state = state_of(provider, 6, [Sent(call)])
    await run_jobs(state, provider)
    assert {at for at, fault in state.work.failed.items() if fault.kind is FaultKind.UNSEEN} == set(
        call.items
    )
    told = state_of(provider, 6, list(state.journal.records), ask_unseen=True)
    await run_jobs(told, provider)
    check_all_is_right(told, 6)
