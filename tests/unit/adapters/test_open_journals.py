"""Reading what journals hold open, beside the processes that write them."""

from pathlib import Path

from budget_cases import DAY, demand, reservation
from bursar.adapters.budget_journal import BudgetJournal, read_open, recover
from bursar.domain.reservations import End

ONE, TWO = reservation("one", demand(DAY, 5)), reservation("two", demand(DAY, 7))


def test_what_a_living_process_holds_is_seen_and_its_journal_left_alone(tmp_path: Path) -> None:
    journal = BudgetJournal.open(tmp_path)
    journal.opened(ONE, 1.0)
    journal.opened(TWO, 2.0)
    journal.closed("one", End.SETTLED, (5,))
    # What is settled is in the ledger, so its line may wait for the next one.
    journal.opened(TWO, 3.0)
    assert read_open(tmp_path) == [TWO]
    assert list(recover(tmp_path)) == []
    journal.closed("two", End.SETTLED, (7,))
    assert read_open(tmp_path) == []
    journal.close()


def test_a_line_that_is_cut_off_hides_no_other(tmp_path: Path) -> None:
    journal = BudgetJournal.open(tmp_path)
    journal.opened(ONE, 1.0)
    with journal.path.open("ab") as file:
        file.write(b'{"event": "opened", "at')
    assert read_open(tmp_path) == [ONE]
    journal.close()


def test_where_there_is_no_journal_nothing_is_held(tmp_path: Path) -> None:
    assert read_open(tmp_path) == []
