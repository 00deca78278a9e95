from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bursar.adapters.admin.sqlite import TEXT_CHARS_MAX, SqliteAdmin
from bursar.domain.admin import AdminChange, AdminItem, ItemKind
from bursar.errors import BadSetting, ChangedMeanwhile
from bursar.ports import AdminStore

OPENERS = [SqliteAdmin.open]
"""Of each kind of store: opens it on a data directory. What is opened twice is the same store."""


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__self__.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AdminStore:
    return request.param(tmp_path)


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__self__.__name__)
def two(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[AdminStore, AdminStore]:
    return request.param(tmp_path), request.param(tmp_path)


def budget(
    content: str = '{"limit_usd":"5"}', name: str = "tenant:acme/nusd/month", by: str = "ann"
) -> AdminItem:
    return AdminItem(ItemKind.BUDGET, name, content, 1_764_000_000.25, by)


def stop(scope: str = "tenant:acme") -> AdminItem:
    return AdminItem(ItemKind.STOP, scope, '{"reason":"runaway"}', 1_764_000_001.0, "bob")


def test_a_new_store_holds_nothing(store: AdminStore) -> None:
    state = store.read()
    assert store.version() == state.version == 0
    assert state.items == {kind: {} for kind in ItemKind}
    assert list(store.changes()) == []


def test_what_is_set_is_read_back_as_it_was(store: AdminStore) -> None:
    store.put(budget())
    store.put(stop())
    state = store.read()
    assert state.items[ItemKind.BUDGET] == {budget().name: budget()}
    assert state.items[ItemKind.STOP] == {"tenant:acme": stop()}
    assert state.items[ItemKind.CONVERSATION] == {}


def test_setting_again_replaces_and_setting_the_same_changes_nothing(store: AdminStore) -> None:
    store.put(budget("{}"))
    assert store.put(budget("{}", by="bob")) is None
    assert store.read().items[ItemKind.BUDGET][budget().name].set_by == "ann"
    changed = store.put(budget("[]", by="bob"))
    assert changed is not None
    assert (changed.version, changed.before, changed.after) == (2, "{}", "[]")
    assert store.read().items[ItemKind.BUDGET] == {budget().name: budget("[]", by="bob")}


def test_what_was_changed_meanwhile_is_not_replaced(store: AdminStore) -> None:
    assert store.put(budget("{}"), expected=None) is not None
    for expected in (None, "[]"):
        with pytest.raises(ChangedMeanwhile):
            store.put(budget("[1]"), expected=expected)
    assert store.version() == 1
    assert store.put(budget("[1]"), expected="{}") is not None
    assert store.read().items[ItemKind.BUDGET][budget().name].content == "[1]"


def test_items_of_one_name_and_different_kinds_do_not_meet(store: AdminStore) -> None:
    store.put(budget(name="x"))
    store.put(stop("x"))
    store.remove(ItemKind.STOP, "x", "bob", 5.0)
    assert list(store.read().items[ItemKind.BUDGET]) == ["x"]


def test_what_is_removed_is_gone_and_removing_nothing_changes_nothing(store: AdminStore) -> None:
    assert store.remove(ItemKind.STOP, "tenant:acme", "bob", 5.0) is None
    store.put(stop())
    removed = store.remove(ItemKind.STOP, "tenant:acme", "ann", 6.0)
    assert removed == AdminChange(2, 6.0, "ann", ItemKind.STOP, "tenant:acme", stop().content, None)
    assert store.read().items[ItemKind.STOP] == {}
    assert store.remove(ItemKind.STOP, "tenant:acme", "ann", 7.0) is None
    assert store.version() == 2


def test_every_change_is_in_the_log_the_latest_first(store: AdminStore) -> None:
    made = [
        store.put(budget("{}")),
        store.put(stop()),
        store.put(budget("[]")),
        store.remove(ItemKind.STOP, "tenant:acme", "ann", 6.0),
    ]
    assert list(store.changes()) == made[::-1]
    assert list(store.changes(limit=2)) == made[:1:-1]
    assert list(store.changes(limit=2, before_version=3)) == made[1::-1]


def test_a_change_of_one_process_is_seen_by_another(two: tuple[AdminStore, AdminStore]) -> None:
    here, there = two
    here.put(budget())
    assert there.version() == 1
    assert there.read() == here.read()


def test_changes_at_the_same_time_have_a_version_each(two: tuple[AdminStore, AdminStore]) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: two[n % 2].put(budget(f'"{n}"', name=f"n{n % 5}")), range(40)))
    versions = sorted(change.version for change in made if change is not None)
    assert versions == list(range(1, 41))
    state = two[0].read()
    for name, item in state.items[ItemKind.BUDGET].items():
        last = next(change for change in two[0].changes() if change.name == name)
        assert item.content == last.after


@pytest.mark.parametrize("name", ["tenant:'; DROP TABLE items; --", "ü/\x00\n", "x" * 10_240])
def test_names_are_data(store: AdminStore, name: str) -> None:
    store.put(budget(name=name))
    assert list(store.read().items[ItemKind.BUDGET]) == [name]


@pytest.mark.parametrize("text", ["x" * (TEXT_CHARS_MAX + 1), "\ud800"], ids=["too long", "no Unicode"])
def test_a_text_that_cannot_be_kept_changes_nothing(store: AdminStore, text: str) -> None:
    for item in (budget(text), budget(name=text), budget(by=text)):
        with pytest.raises(BadSetting):
            store.put(item)
    assert store.version() == 0
