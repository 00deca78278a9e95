"""Storing what was stopped for its loop, and letting it go on by command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.cli.main import app
from bursar.domain.admin import ItemKind
from bursar.domain.alerts import Finding
from bursar.errors import CallerMistake, StoreFailed
from bursar.policy.alerts.findings import find_loop
from bursar.settings.stored_loops import loop_item, read_loop_stops
from bursar.view.loop_watch import LoopWatch, Stop
from bursar.wiring.loops import LoopKeeper
from scripted_world import ManualClock

STOP = Stop("acme", "c1", b"m", "it called find 4 times in a row", 5.0)


async def test_stops_are_stored_and_read_by_other_processes(tmp_path: Path) -> None:
    admin, loops = SqliteAdmin.open(tmp_path), LoopWatch()
    loops.stop(STOP)
    told: list[Finding] = []
    await LoopKeeper(loops, admin, ManualClock(), told.append).save()
    assert not loops.unsaved
    assert told == [find_loop(STOP)]
    other = LoopWatch()
    other.replace_stops(read_loop_stops(SqliteAdmin.open(tmp_path).read()))
    assert other.stopped("acme", "c1") == STOP


def fail(*_: object) -> None:
    raise StoreFailed("the disk is full")


async def test_what_cannot_be_stored_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, loops = SqliteAdmin.open(tmp_path), LoopWatch()
    loops.stop(STOP)
    told: list[Finding] = []
    keeper = LoopKeeper(loops, admin, ManualClock(), told.append)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteAdmin, "put", fail)
        with pytest.raises(StoreFailed):
            await keeper.save()
    assert list(loops.unsaved) == [STOP]
    assert told == []
    await keeper.save()
    assert len(told) == 1
    assert ItemKind.LOOP in admin.read().items


def resume(tmp_path: Path, *arguments: str) -> object:
    given = ["conversation", "resume", *arguments, "--data-dir", str(tmp_path)]
    return CliRunner().invoke(app, given, catch_exceptions=False).output


def test_a_person_lets_a_conversation_go_on_by_command(tmp_path: Path) -> None:
    admin = SqliteAdmin.open(tmp_path)
    admin.put(loop_item(STOP))
    resume(tmp_path, "c1", "--tenant", "acme")
    assert [stop.is_resumed for stop in read_loop_stops(admin.read())] == [True]
    assert json.loads(admin.changes()[0].after or "")["is_resumed"] is True


def test_what_is_not_stopped_cannot_be_let_go_on(tmp_path: Path) -> None:
    admin = SqliteAdmin.open(tmp_path)
    with pytest.raises(CallerMistake, match="not stopped for a loop; to raise its cap, name one of"):
        resume(tmp_path, "c1", "--tenant", "acme")
    assert admin.version() == 0
