"""Whatever a model makes of a batch, each item ends once; and a journal brings back what it says."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from batch_cases import SCHEMA, label, sizing, tickets
from bursar.domain.json_schema import read_schema
from bursar.policy.batch.answers import FaultKind, read_answers
from bursar.policy.batch.records import Ended, Failed, Record, Sent, take_record, take_records
from bursar.policy.batch.tally import Tally
from bursar.policy.batch.work import PackedCall, Work

MODEL_FAULTS = (FaultKind.MISSING, FaultKind.DUPLICATED, FaultKind.MALFORMED, FaultKind.UNREADABLE)
COUNT = 12
RECORD: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def outcome_of(call: PackedCall, data: st.DataObject) -> Record:
    """What becomes of a call."""
    whole = data.draw(st.sampled_from(["answers", "answers", "cut", "garbage", "rejected", "expired"]))
    if whole in {"rejected", "expired"}:
        return Failed(call.number, FaultKind(whole), "so")
    kinds = {"cut": (FaultKind.CUT,), "garbage": (FaultKind.UNREADABLE,)}.get(whole, MODEL_FAULTS)
    wrong = call.items if whole == "garbage" else data.draw(st.sets(st.sampled_from(call.items)))
    faults = {at: (data.draw(st.sampled_from(kinds)), "so") for at in wrong}
    return Ended(
        number=call.number,
        answers={at: label(at) for at in call.items if at not in faults},
        faults=faults,
        output_tokens=data.draw(st.none() | st.integers(0, 5_000)),
        is_cut=whole == "cut",
        cost_nusd=data.draw(st.integers(0, 1_000)),
        alone_nusd=data.draw(st.integers(0, 1_000)),
    )


def play(batch: Work, tally: Tally, data: st.DataObject) -> list[Record]:
    """Run a batch with up to three calls under way; returns its journal."""
    journal: list[Record] = []
    for _ in range(10 * COUNT):
        while len(batch.under_way) < 3 and (call := batch.next()) is not None:
            journal.append(Sent(call))
        if not batch.under_way:
            break
        record = outcome_of(data.draw(st.sampled_from(batch.under_way)), data)
        journal.append(record)
        take_record(record, batch, tally)
    return journal


def state(batch: Work, tally: Tally) -> tuple[Any, ...]:
    waiting: list[tuple[int, ...]] = []
    while (call := batch.next()) is not None:
        waiting.append(call.items)
    kinds = {at: fault.kind for at, fault in batch.failed.items()}
    return batch.answers, kinds, batch.retries, waiting, batch.sizing.size, tally


@given(st.data())
def test_every_item_is_answered_or_has_failed_and_none_of_them_twice(data: st.DataObject) -> None:
    batch = Work(tickets(COUNT), sizing(data.draw(st.none() | st.integers(1, COUNT))))
    play(batch, Tally(), data)
    assert batch.is_done
    assert not batch.under_way
    assert not batch.answers.keys() & batch.failed.keys()
    assert sorted([*batch.answers, *batch.failed]) == list(range(COUNT))


@given(st.data())
def test_a_journal_cut_anywhere_brings_back_the_state_that_it_tells_of(data: st.DataObject) -> None:
    fixed = data.draw(st.none() | st.integers(1, COUNT))
    live, live_tally = Work(tickets(COUNT), sizing(fixed)), Tally()
    journal = play(live, live_tally, data)
    cut = data.draw(st.integers(0, len(journal)))
    written = [RECORD.decode(msgspec.json.encode(record)) for record in journal[:cut]]

    again, tally = Work(tickets(COUNT), sizing(fixed)), Tally()
    take_records(written, again, tally)
    once_more, other_tally = Work(tickets(COUNT), sizing(fixed)), Tally()
    take_records(written, once_more, other_tally)

    under_way = {at for call in again.under_way for at in call.items}
    ended = {*again.answers, *again.failed}
    # Nothing is lost: what has neither ended nor is under way waits.
    found = state(again, tally)
    waiting = {at for items in found[3] for at in items}
    assert ended | under_way | waiting == set(range(COUNT))
    assert not ended & waiting
    assert not under_way & waiting
    assert found == state(once_more, other_tally)
    if cut == len(journal):
        assert found == state(live, live_tally)


@given(st.text(), st.booleans())
def test_reading_answers_never_fails_and_judges_every_item(text: str, is_cut: bool) -> None:
    names = ["t0", "t1"]
    found = read_answers(text, names, read_schema(SCHEMA), is_cut=is_cut)
    assert sorted([*found.answers, *found.faults]) == names


@given(st.text(alphabet='{}[]",: \n01truefalsenull-.eE\\u'), st.integers(0, 60))
def test_a_good_answer_is_found_in_whatever_follows_it(noise: str, cut: int) -> None:
    good = '{"1":{"topic":"other"},'
    found = read_answers(good + noise[:cut], ["t0"], read_schema(True), is_cut=True)
    assert found.answers or found.faults["t0"].kind in {FaultKind.DUPLICATED, FaultKind.MALFORMED}
