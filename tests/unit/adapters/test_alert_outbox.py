"""Each alert once, and its deliveries leased."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from alert_crossings import START_S, counter, crossing
from bursar.adapters.alerts.outbox import FILE_NAME, Outbox
from bursar.adapters.alerts.schema import HEAD, OUTBOX, metadata
from bursar.adapters.sqlite.migration import scripts
from bursar.domain.alerts import Delivery, Message, Outcome
from bursar.errors import CorruptStore
from bursar.policy.alerts.crossings import Crossing

NOW_S = 1_000.0


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.open(tmp_path)


def record(outbox: Outbox, *crossings: Crossing, notifiers: tuple[str, ...] = ("ann", "bob")) -> list[int]:
    return list(outbox.record([(each, START_S + 60.0) for each in crossings], notifiers, NOW_S))


def states(outbox: Outbox) -> dict[int, str]:
    return {alert.at_per_mille: alert.state for alert in outbox.newest()}


def test_migrations_and_metadata_make_the_same_tables(tmp_path: Path) -> None:
    Outbox.open(tmp_path)
    migrated = create_engine(f"sqlite:///{tmp_path / FILE_NAME}", poolclass=NullPool)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert scripts(OUTBOX).get_heads() == [HEAD]


def test_an_alert_is_told_once_however_often_it_is_recorded(outbox: Outbox) -> None:
    assert record(outbox, crossing(fresh=(500,))) == [1]
    assert record(outbox, crossing(fresh=(500,)), crossing(missed=(500,))) == []
    (alert,) = outbox.newest()
    assert alert.deliveries == (Delivery("ann", Outcome.PENDING),)
    assert (alert.counter, alert.limit, alert.settled) == (counter(), 100, 99)


def test_each_window_is_told_of_anew(outbox: Outbox) -> None:
    assert len(record(outbox, crossing(fresh=(500,)), crossing(fresh=(500,), hour=1))) == 2


def test_of_what_is_crossed_at_once_the_highest_is_told(outbox: Outbox) -> None:
    assert len(record(outbox, crossing(fresh=(500, 800)))) == 1
    assert states(outbox) == {500: "passed", 800: "pending"}
    assert record(outbox, crossing(fresh=(500,)), crossing(missed=(500, 800))) == []


def test_a_lower_step_that_somebody_else_just_crossed_is_told_although_a_higher_one_is_known(
    outbox: Outbox,
) -> None:
    assert len(record(outbox, crossing(fresh=(800,)))) == 1
    assert len(record(outbox, crossing(fresh=(500,)))) == 1
    assert states(outbox) == {500: "pending", 800: "pending"}


def test_what_nobody_told_of_is_made_up_for_unless_a_higher_step_is_known(outbox: Outbox) -> None:
    assert len(record(outbox, crossing(missed=(500, 800)))) == 1
    assert states(outbox) == {500: "passed", 800: "pending"}
    assert len(record(outbox, crossing(fresh=(1000,), missed=(500, 800), hour=1))) == 1
    assert len(record(outbox, crossing(missed=(500,), hour=1))) == 0


def test_four_at_once_record_an_alert_once(outbox: Outbox) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: record(outbox, crossing(fresh=(500,))), range(8)))
    assert sorted(len(each) for each in found) == [0] * 7 + [1]


def test_who_is_not_set_up_is_recorded_as_undeliverable(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(1000,)), notifiers=("ann",))
    (alert,) = outbox.newest()
    assert [each.outcome for each in alert.deliveries] == [Outcome.PENDING, Outcome.UNDELIVERABLE]
    assert "add [notify.bob]" in alert.deliveries[1].error
    assert alert.state == "undeliverable"


def test_a_delivery_is_leased_to_one_until_the_lease_is_over(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(500,)))
    ((alert, name),) = outbox.claim(("ann", "bob"), NOW_S, 60)
    assert (name, alert.deliveries[0].attempts) == ("ann", 1)
    assert outbox.claim(("ann",), NOW_S + 59, 60) == []
    ((again, _),) = outbox.claim(("ann",), NOW_S + 60, 60)
    assert again.deliveries[0].attempts == 2
    outbox.renew(1, "ann", NOW_S + 200)
    assert outbox.claim(("ann",), NOW_S + 199, 60) == []


def test_one_alert_a_notifier_is_claimed_at_a_time_the_oldest_first(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(500,)), crossing(fresh=(1000,)))
    found = outbox.claim(("ann", "bob", "eve"), NOW_S, 60)
    assert {(alert.alert_id, name) for alert, name in found} == {(1, "ann"), (2, "bob")}
    assert outbox.claim(("eve",), NOW_S, 60) == []


def test_an_attempt_that_failed_is_due_again_when_it_is_said_to_be(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(500,)))
    outbox.claim(("ann",), NOW_S, 60)
    outbox.postpone(1, "ann", "refused", NOW_S + 4)
    assert outbox.claim(("ann",), NOW_S + 3.9, 60) == []
    ((alert, _),) = outbox.claim(("ann",), NOW_S + 4, 60)
    assert alert.deliveries[0].error == "refused"
    outbox.delivered(1, "ann", NOW_S + 5)
    assert outbox.claim(("ann",), NOW_S + 100, 60) == []
    assert outbox.newest()[0].deliveries == (Delivery("ann", Outcome.DELIVERED, 2, "", NOW_S + 5),)


def test_what_is_told_is_kept_with_the_alert(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(500,)))
    outbox.write(1, Message("a title", "a body"))
    ((alert, _),) = outbox.claim(("ann",), NOW_S, 60)
    assert (alert.title, alert.body) == ("a title", "a body")


def test_who_acknowledges_an_alert_ends_what_is_pending_and_nothing_else(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(1000,)))
    outbox.delivered(1, "bob", NOW_S)
    found = outbox.acknowledge(1, "cli", NOW_S + 1)
    assert found is not None
    alert, is_first = found
    assert (is_first, alert.acked_by, alert.acked_at_s) == (True, "cli", NOW_S + 1)
    assert [each.outcome for each in alert.deliveries] == [Outcome.ACKNOWLEDGED, Outcome.DELIVERED]
    again = outbox.acknowledge(1, "eve", NOW_S + 2)
    assert again is not None
    assert (again[1], again[0].acked_by) == (False, "cli")
    assert outbox.acknowledge(2, "cli", NOW_S) is None
    assert outbox.claim(("ann",), NOW_S, 60) == []
    # An attempt that was under way may have been taken all the same.
    outbox.failed(1, "ann", "late", NOW_S)
    assert outbox.newest()[0].deliveries[0].outcome is Outcome.ACKNOWLEDGED
    outbox.delivered(1, "ann", NOW_S)
    assert outbox.newest()[0].deliveries[0].outcome is Outcome.DELIVERED


def test_old_windows_are_forgotten_once_nobody_is_still_to_be_told(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(500,)), crossing(fresh=(500, 800), hour=1))
    outbox.failed(1, "ann", "gone", NOW_S)
    end_s = counter().end_s or 0
    assert outbox.forget(end_s) == 0
    assert outbox.forget(end_s + 1) == 1
    # Of the next hour's, one is passed and one is pending.
    assert outbox.forget(end_s + 10_000) == 1
    assert [alert.at_per_mille for alert in outbox.newest()] == [800]


def test_an_alert_is_found_by_its_window_and_threshold(outbox: Outbox) -> None:
    record(outbox, crossing(fresh=(500,)))
    found = outbox.find(counter(), 500)
    assert found is not None
    assert found.alert_id == 1
    assert outbox.find(counter(), 800) is None
    assert outbox.find(counter(hour=1), 500) is None


def test_reading_makes_no_outbox_and_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    assert Outbox.open_existing(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE other (a)")
    with pytest.raises(CorruptStore, match="alert outbox"):
        Outbox.open(tmp_path)
