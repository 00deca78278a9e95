"""What processes that died had under way, recorded at the next start."""

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.reservations import Reservation
from bursar.errors import EntryRefused, StoreFailed
from bursar.wiring import budgets


class Left:
    """A journal that was left, with two calls."""

    faults: Sequence[str] = ()

    def __init__(self) -> None:
        self.opened = {name: SimpleNamespace(reservation=Reservation(name, "c", (), ())) for name in "ab"}
        self.is_removed = False

    def remove(self) -> None:
        self.is_removed = True

    def give_back(self) -> None:
        pass


@pytest.mark.parametrize("failure", [EntryRefused("'a': too much"), StoreFailed("the disk is full")])
async def test_only_a_call_that_no_ledger_could_hold_is_passed_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: StoreFailed,
) -> None:
    left, seen = Left(), list[str]()

    async def find_end(_ledger: Any, _record: Any, reservation: Reservation) -> None:
        seen.append(reservation.reservation_id)
        if reservation.reservation_id == "a":
            raise failure

    monkeypatch.setattr(budgets, "recover", lambda _directory: [left])
    monkeypatch.setattr(budgets, "_find_end", find_end)
    with closing(SqliteLedger.open(tmp_path)) as ledger, caplog.at_level(logging.ERROR):
        if isinstance(failure, EntryRefused):
            await budgets.recover_left(tmp_path, ledger)
            assert "too much" in caplog.text
        else:
            with pytest.raises(StoreFailed, match="full"):
                await budgets.recover_left(tmp_path, ledger)
    assert seen == (["a", "b"] if isinstance(failure, EntryRefused) else ["a"])
    assert left.is_removed == isinstance(failure, EntryRefused)
