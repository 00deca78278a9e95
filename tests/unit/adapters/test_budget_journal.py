import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bursar.adapters.budget_journal import DIRECTORY, BudgetJournal, LeftJournal, recover
from bursar.domain.reservations import Counter, Demand, End, Period, Reservation, Unit
from bursar.errors import StoreFailed


def reservation(name: str, amount: int = 7) -> Reservation:
    counter = Counter("tenant:acme", Unit.NUSD, Period.DAY, 0, 86_400)
    return Reservation(name, "acme/c1", (Demand(counter, 100),), (amount,), note='{"model":"m"}')


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[BudgetJournal]:
    with closing(BudgetJournal.open(tmp_path)) as journal:
        yield journal


def recovered(data_dir: Path) -> list[LeftJournal]:
    found = list(recover(data_dir))
    for each in found:
        each.give_back()
    return found


def left_behind(data_dir: Path, content: bytes) -> LeftJournal:
    """Write a journal as a process that died has left it, and read it."""
    directory = data_dir / DIRECTORY
    directory.mkdir(exist_ok=True)
    (directory / "1-a.v2.jsonl").write_bytes(content)
    (found,) = recovered(data_dir)
    return found


def written(journal: BudgetJournal) -> bytes:
    """What stands in a journal's file, without the blank rest."""
    return journal.path.read_bytes().rstrip(b"\0")


def fill(journal: BudgetJournal, calls: int) -> None:
    """Open so many calls."""
    for number in range(calls):
        journal.opened(reservation(f"op-{number}"), 2.0)


def test_what_a_living_process_holds_is_left_alone(journal: BudgetJournal, tmp_path: Path) -> None:
    journal.opened(reservation("op-1"), 5.0)
    assert recovered(tmp_path) == []


def test_what_a_process_left_open_is_found_again(journal: BudgetJournal, tmp_path: Path) -> None:
    for name in ("op-1", "op-2", "op-3"):
        journal.opened(reservation(name), 5.0)
    journal.closed("op-2", End.SETTLED, [3])
    journal.close()
    (found,) = recovered(tmp_path)
    assert [event.reservation for event in found.opened.values()] == [
        reservation("op-1"),
        reservation("op-3"),
    ]
    assert [event.at_s for event in found.opened.values()] == [5.0, 5.0]
    assert [(event.reservation_id, event.end, event.amounts) for event in found.closed] == [
        ("op-2", End.SETTLED, (3,))
    ]
    assert found.faults == ()


def test_what_calls_alike_share_is_spelt_once_in_a_file(journal: BudgetJournal, tmp_path: Path) -> None:
    first = other = reservation("op-1")
    for name in ("op-3", "op-4"):
        other = msgspec.structs.replace(first, reservation_id=name, amounts=(int(name[3:]),))
        journal.opened(other, 5.0)
    mixed = Reservation("op-5", "acme/c2", (*reservation("op-6").demands, *first.demands), (1, 2))
    journal.opened(mixed, 6.0)
    assert written(journal).count(b'"limit":100') == 2
    journal.close()
    (found,) = recovered(tmp_path)
    assert [event.reservation.amounts for event in found.opened.values()] == [(3,), (4,), (1, 2)]
    assert found.opened["op-4"].reservation == other
    assert found.opened["op-5"].reservation == mixed


def test_a_new_file_spells_again_what_the_old_one_spelt(tmp_path: Path) -> None:
    directory = tmp_path / DIRECTORY
    directory.mkdir()
    shared = reservation("op-0")
    with closing(BudgetJournal(directory, size_bytes=2_000)) as journal:
        for number in range(100):
            journal.opened(msgspec.structs.replace(shared, reservation_id=f"op-{number}"), 2.0)
            if number % 10:
                journal.closed(f"op-{number}", End.SETTLED, [1])
    (found,) = recovered(tmp_path)
    assert found.faults == ()
    assert {event.reservation.demands for event in found.opened.values()} == {shared.demands}
    assert list(found.opened) == [f"op-{number}" for number in range(0, 100, 10)]


def test_a_call_is_not_lost_with_the_line_that_spelt_what_it_asks(
    journal: BudgetJournal, tmp_path: Path
) -> None:
    first = reservation("op-1")
    own = msgspec.structs.replace(first.demands[0], limit=7)
    second = msgspec.structs.replace(
        first, reservation_id="op-2", demands=(*first.demands, own), amounts=(*first.amounts, 5)
    )
    journal.opened(first, 5.0)
    journal.opened(second, 5.0)
    _, line = written(journal).splitlines()
    journal.closed("op-1", End.RELEASED)
    journal.closed("op-2", End.RELEASED)
    found = left_behind(tmp_path, b"{\n" + line + b"\n")
    known = msgspec.structs.replace(second, demands=(own,), amounts=(5,))
    assert [event.reservation for event in found.opened.values()] == [known]
    assert "1-a.v2.jsonl:2: some of what it asks stood in a line that cannot be read" in found.faults[1]


def test_a_line_that_lost_a_number_is_told_and_stops_nothing(journal: BudgetJournal, tmp_path: Path) -> None:
    journal.opened(reservation("op-1"), 5.0)
    line = written(journal).replace(b'"numbers":[0', b'"numbers":[0,1', 1)
    journal.closed("op-1", End.RELEASED)
    found = left_behind(tmp_path, line)
    assert list(found.opened) == ["op-1"]
    assert "1-a.v2.jsonl:1: some of what it asks" in found.faults[0]


def test_what_was_extended_counts_as_it_was_last(journal: BudgetJournal, tmp_path: Path) -> None:
    journal.opened(reservation("op-1", 7), 5.0)
    journal.opened(reservation("op-1", 9), 6.0)
    journal.close()
    (found,) = recovered(tmp_path)
    assert [event.reservation for event in found.opened.values()] == [reservation("op-1", 9)]


def test_a_journal_with_nothing_open_leaves_no_file(journal: BudgetJournal, tmp_path: Path) -> None:
    journal.opened(reservation("op-1"), 5.0)
    journal.closed("op-1", End.RELEASED)
    journal.close()
    journal.close()
    assert list((tmp_path / DIRECTORY).iterdir()) == []


def test_closing_what_is_not_open_writes_nothing(journal: BudgetJournal) -> None:
    journal.closed("op-9", End.SETTLED, [3])
    assert written(journal) == b""


def test_a_recovered_journal_is_nobody_elses_until_it_is_given_back(
    journal: BudgetJournal, tmp_path: Path
) -> None:
    journal.opened(reservation("op-1"), 5.0)
    journal.close()
    (found,) = list(recover(tmp_path))
    assert recovered(tmp_path) == []
    found.give_back()
    (again,) = list(recover(tmp_path))
    again.remove()
    assert recovered(tmp_path) == []


def test_a_line_that_was_cut_off_is_named_and_the_rest_counts(journal: BudgetJournal, tmp_path: Path) -> None:
    journal.opened(reservation("op-1"), 5.0)
    journal.opened(reservation("op-2"), 5.0)
    whole = written(journal)
    journal.closed("op-1", End.RELEASED)
    journal.closed("op-2", End.RELEASED)
    first, second, _ = whole.split(b"\n")
    for end in range(1, len(second) + 1):
        found = left_behind(tmp_path, first + b"\n" + second[:end])
        assert list(found.opened) == ["op-1"]
        assert "1-a.v2.jsonl:2: the last line was cut off" in found.faults[0]
    # Its call was not sent, so that nothing of it is lost with the file.
    assert found.remove() is None
    assert not found.path.exists()


@pytest.mark.parametrize("garbage", [b"{", b"\xff\xfe", b'{"event":"opened"}', b'{"event":"other"}', b"null"])
def test_garbage_in_the_middle_is_named_by_its_line_and_the_rest_counts(
    journal: BudgetJournal, tmp_path: Path, garbage: bytes
) -> None:
    journal.opened(reservation("op-1"), 5.0)
    line = written(journal)
    journal.closed("op-1", End.RELEASED)
    found = left_behind(tmp_path, garbage + b"\n" + line)
    assert [event.reservation for event in found.opened.values()] == [reservation("op-1")]
    assert len(found.faults) == 1
    assert "1-a.v2.jsonl:1: is no event of a journal" in found.faults[0]
    aside = found.remove()
    assert aside == tmp_path / DIRECTORY / "1-a.v2.jsonl.unreadable"
    assert aside.read_bytes() == garbage + b"\n" + line
    assert recovered(tmp_path) == []


def test_a_journal_that_grew_is_written_anew_with_what_is_open(tmp_path: Path) -> None:
    directory = tmp_path / DIRECTORY
    directory.mkdir()
    with closing(BudgetJournal(directory, size_bytes=4_000)) as journal:
        journal.opened(reservation("long"), 1.0)
        for number in range(200):
            journal.opened(reservation(f"op-{number}"), 2.0)
            journal.closed(f"op-{number}", End.SETTLED, [1])
            assert journal.path.stat().st_size == 4_000
        journal.opened(reservation("late"), 3.0)
        # The new file is locked as the old one was.
        assert recovered(tmp_path) == []
    (found,) = recovered(tmp_path)
    assert list(found.opened) == ["long", "late"]
    assert len(list(directory.iterdir())) == 1


def test_what_is_open_gets_the_room_that_it_needs(tmp_path: Path) -> None:
    directory = tmp_path / DIRECTORY
    directory.mkdir()
    with closing(BudgetJournal(directory, size_bytes=1_000)) as journal:
        fill(journal, 100)
    (found,) = recovered(tmp_path)
    assert len(found.opened) == 100
    assert found.faults == ()


def test_a_line_that_was_half_copied_is_named_and_the_rest_counts(
    journal: BudgetJournal, tmp_path: Path
) -> None:
    journal.opened(reservation("op-1"), 5.0)
    line = written(journal)
    journal.closed("op-1", End.RELEASED)
    found = left_behind(tmp_path, line + line[: len(line) // 2] + bytes(4_000))
    assert list(found.opened) == ["op-1"]
    assert "1-a.v2.jsonl:2: the last line was cut off" in found.faults[0]


def test_a_full_disk_says_what_to_mend_and_what_is_open_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / DIRECTORY
    directory.mkdir()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with closing(BudgetJournal(directory, size_bytes=1_000)) as journal:
        journal.opened(reservation("op-0"), 5.0)
        monkeypatch.setattr(os, "posix_fallocate", fail)
        with pytest.raises(StoreFailed, match="No space left on device; check the directory"):
            fill(journal, 100)
        monkeypatch.undo()
        alike = reservation("late")
        journal.opened(alike, 5.0)
        journal.opened(msgspec.structs.replace(alike, reservation_id="later"), 5.0)
    (found,) = recovered(tmp_path)
    assert "op-0" in found.opened
    assert found.opened["late"].reservation == alike
    assert found.opened["later"].reservation.demands == alike.demands
    assert len(list(directory.iterdir())) == 1


def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    journal = BudgetJournal.open(tmp_path)
    journal.close()
    with pytest.raises(StoreFailed, match="closed"):
        journal.opened(reservation("op-1"), 5.0)


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match="file"):
        BudgetJournal.open(tmp_path / "file")


def test_what_a_process_died_over_is_cleared_away_but_not_what_is_being_made(tmp_path: Path) -> None:
    directory = tmp_path / DIRECTORY
    directory.mkdir()
    old, young = (directory / f"{name}.v2.jsonl.new" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (1.0, 1.0))
    assert recovered(tmp_path) == []
    assert list(directory.iterdir()) == [young]


_HOLD_AND_WAIT = """
import sys, time
from pathlib import Path
from bursar.adapters.budget_journal import BudgetJournal
from bursar.domain.reservations import Counter, Demand, Period, Reservation, Unit
journal = BudgetJournal.open(Path(sys.argv[1]))
counter = Counter("tenant:acme", Unit.NUSD, Period.TOTAL)
for number in range(50):
    journal.opened(Reservation(f"op-{number}", "c", (Demand(counter),), (1,)), 1.0)
print("held", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_held_is_found_again(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD_AND_WAIT, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert recovered(tmp_path) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    (found,) = recovered(tmp_path)
    assert len(found.opened) == 50
    assert found.faults == ()
