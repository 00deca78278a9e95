from batch_cases import label, sizing, tickets, work
from bursar.policy.batch.answers import Fault, FaultKind
from bursar.policy.batch.sizing import SizeLimits, Sizing
from bursar.policy.batch.work import Outcome, PackedCall, Work


def answered(call: PackedCall, *, but: dict[int, FaultKind] | None = None, is_cut: bool = False) -> Outcome:
    """All of a call's items answered but some."""
    faults = {at: Fault(kind, "so") for at, kind in (but or {}).items()}
    answers = {at: label(at) for at in call.items if at not in faults}
    return Outcome(answers, faults, 20 * len(call.items), is_cut=is_cut)


def fail(call: PackedCall, kind: FaultKind) -> Outcome:
    return answered(call, but=dict.fromkeys(call.items, kind))


def take(batch: Work) -> PackedCall:
    call = batch.next()
    assert call is not None
    return call


def test_items_go_in_their_order_as_many_as_were_asked_for() -> None:
    batch = work(tickets(7), fixed=3)
    assert [take(batch).items for _ in range(3)] == [(0, 1, 2), (3, 4, 5), (6,)]
    assert batch.next() is None
    assert not batch.is_done


def test_missing_duplicated_and_malformed_items_are_asked_again_alone_and_told_why() -> None:
    batch = work(tickets(4), fixed=4)
    kinds = {1: FaultKind.MISSING, 2: FaultKind.DUPLICATED, 3: FaultKind.MALFORMED}
    batch.end(first := take(batch), answered(first, but=kinds))
    again = [take(batch) for _ in range(3)]
    assert [call.items for call in again] == [(1,), (2,), (3,)]
    assert {call.note for call in again} == {"Attempt 2. The answer before was not accepted: so"}
    for call in again:
        batch.end(call, answered(call))
    assert batch.is_done
    assert sorted(batch.answers) == [0, 1, 2, 3]
    assert batch.retries == 3


def test_of_a_call_that_brought_nothing_each_half_is_asked_again_and_then_each_item() -> None:
    batch = work(tickets(4), fixed=4)
    batch.end(first := take(batch), fail(first, FaultKind.UNREADABLE))
    halves = [take(batch), take(batch)]
    assert [call.items for call in halves] == [(0, 1), (2, 3)]
    batch.end(halves[0], fail(halves[0], FaultKind.UNREADABLE))
    batch.end(halves[1], answered(halves[1]))
    assert [take(batch).items, take(batch).items] == [(0,), (1,)]


def test_an_item_that_is_never_answered_well_fails_with_the_last_reason() -> None:
    batch = work(tickets(1))
    notes: list[str] = []
    while (call := batch.next()) is not None:
        notes.append(call.note)
        batch.end(call, fail(call, FaultKind.MALFORMED))
    assert len(set(notes)) == 3
    assert batch.is_done
    assert batch.failed[0].kind is FaultKind.MALFORMED
    assert batch.tries(0) == 3


def test_what_was_cut_off_goes_on_with_more_room_however_often() -> None:
    batch = Work(tickets(4), sizing(output_tokens_max=4_096))
    batch.end(first := take(batch), answered(first, but={2: FaultKind.CUT, 3: FaultKind.CUT}, is_cut=True))
    second = take(batch)
    assert second.items == (2, 3)
    assert second.tokens_max / 2 > first.tokens_max / 4
    assert batch.tries(2) == 0


def test_an_item_alone_that_is_cut_off_gets_all_the_room_there_is_before_it_fails() -> None:
    batch = Work(tickets(1), sizing(output_tokens_max=4_096))
    rooms: list[int] = []
    while (call := batch.next()) is not None:
        rooms.append(call.tokens_max)
        batch.end(call, answered(call, but={0: FaultKind.CUT}, is_cut=True))
    assert rooms == sorted(rooms)
    assert rooms[-3:] == [4_096] * 3
    assert batch.failed[0].kind is FaultKind.CUT


def test_items_that_nobody_looked_at_are_asked_again_together_without_a_note() -> None:
    batch = work(tickets(3), fixed=3)
    batch.end(first := take(batch), fail(first, FaultKind.EXPIRED))
    again = take(batch)
    assert (again.items, again.note) == ((0, 1, 2), "")


def test_what_may_be_paid_twice_or_was_cancelled_waits_for_somebody_to_reopen_it() -> None:
    batch = work(tickets(2), fixed=1)
    batch.end(first := take(batch), fail(first, FaultKind.UNSEEN))
    batch.end(second := take(batch), fail(second, FaultKind.CANCELLED))
    assert batch.is_done
    batch.reopen()
    assert not batch.is_done
    assert {take(batch).items, take(batch).items} == {(0,), (1,)}


def test_a_request_that_is_not_taken_is_split_but_one_for_a_lone_item_is_not_made_again() -> None:
    batch = work(tickets(2), fixed=2)
    batch.end(first := take(batch), fail(first, FaultKind.REJECTED))
    batch.end(second := take(batch), fail(second, FaultKind.REJECTED))
    batch.end(third := take(batch), answered(third))
    assert batch.is_done
    assert (list(batch.failed), list(batch.answers)) == ([0], [1])


def test_a_reopened_item_is_asked_with_a_note_that_was_never_there() -> None:
    batch = work(tickets(1))
    notes: set[str] = set()
    for _ in range(2):
        while (call := batch.next()) is not None:
            assert call.note not in notes
            notes.add(call.note)
            batch.end(call, fail(call, FaultKind.MALFORMED))
        batch.reopen()
    assert len(notes) == 6


def test_a_call_that_was_withdrawn_is_made_later_as_it_was() -> None:
    batch = work(tickets(2), fixed=2)
    first = take(batch)
    batch.withdraw(first)
    assert take(batch).items == first.items


def test_a_second_end_of_a_call_changes_nothing() -> None:
    batch = work(tickets(2), fixed=2)
    call = take(batch)
    batch.end(call, answered(call))
    batch.end(call, fail(call, FaultKind.MALFORMED))
    assert batch.is_done
    assert not batch.failed


def test_long_items_share_no_call_beyond_the_window_and_one_alone_always_goes() -> None:
    items = tickets(5)
    room = 2 * (len(items[0].text) + 2)
    batch = Work(items, Sizing(SizeLimits(None, 64_000, room)))
    assert [take(batch).items for _ in range(3)] == [(0, 1), (2, 3), (4,)]
    batch = Work(items, Sizing(SizeLimits(None, 64_000, 1)))
    assert take(batch).items == (0,)
