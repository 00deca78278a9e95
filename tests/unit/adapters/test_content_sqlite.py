import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bursar.adapters.content.file import FILE_NAME, Room
from bursar.adapters.content.memory import OVERHEAD_BYTES, BoundedItems, Item, MemoryContent
from bursar.adapters.content.opening import open_content
from bursar.adapters.content.sqlite import ContentOptions, SqliteContent
from bursar.adapters.content.writer import WAITING_BYTES_MAX
from bursar.errors import CorruptStore, StoreFailed
from bursar.ports import ContentKey, ContentKind

NOW_S = 1_764_000_000.0
SECRET = b"the customer's card ends in 4242"


def key(number: int = 1, tenant: str = "acme-tenant") -> ContentKey:
    return ContentKey(tenant, ContentKind.RESPONSE, number.to_bytes(32))


def without_front(room: Room | None = None) -> ContentOptions:
    return ContentOptions(room or Room(), front_bytes_max=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteContent]:
    with closing(SqliteContent.open(tmp_path, without_front())) as opened:
        yield opened


def remove_files(folder: Path) -> None:
    for path in folder.glob(f"{FILE_NAME}*"):
        path.unlink()


async def settle(store: SqliteContent) -> None:
    await store.purge(0.0)


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(
        path.read_bytes() for path in sorted(folder.glob(f"{FILE_NAME}*")) if "-shm" not in path.name
    )


async def test_content_outlives_the_process(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as first:
        await first.put(key(), b"kept", 60, NOW_S)
    with closing(SqliteContent.open(tmp_path)) as second:
        assert await second.get(key(), NOW_S + 1) == b"kept"
        assert await second.get(key(), NOW_S + 60) is None


async def test_no_text_of_a_key_is_written_down(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        await store.put(ContentKey("acme-tenant", ContentKind.MEMO, b"digest-of-a-prompt"), b"x", 60, NOW_S)
    written = bytes_on_disk(tmp_path)
    assert b"acme-tenant" not in written
    assert b"digest-of-a-prompt" not in written


async def test_a_deleted_tenants_content_is_nowhere_in_the_files(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        for number in range(20):
            await store.put(key(number), SECRET * (number + 1) * 20, 60, NOW_S)
            await store.put(key(number, "other"), b"theirs", 60, NOW_S)
        await settle(store)
        assert SECRET in bytes_on_disk(tmp_path)
        await store.delete_tenant("acme-tenant")
        assert SECRET not in bytes_on_disk(tmp_path)
    assert SECRET not in bytes_on_disk(tmp_path)


async def test_content_read_while_its_tenant_is_deleted_does_not_come_back(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        await store.put(key(), b"mine", 60, NOW_S)
        await settle(store)
        store._front = BoundedItems(1 << 20)
        reading = asyncio.create_task(store.get(key(), NOW_S))
        await asyncio.sleep(0)
        await store.delete_tenant("acme-tenant")
        await reading
        assert await store.get(key(), NOW_S) is None


async def test_content_read_while_newer_is_put_does_not_replace_it(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        await store.put(key(), b"old", 60, NOW_S)
        await settle(store)
        store._front = BoundedItems(1 << 20)
        reading = asyncio.create_task(store.get(key(), NOW_S))
        await asyncio.sleep(0)
        await store.put(key(), b"new", 60, NOW_S)
        await settle(store)
        await reading
        assert await store.get(key(), NOW_S) == b"new"


async def test_a_miss_and_a_hit_in_front_do_not_leave_the_event_loop(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        await store.put(key(), b"kept", 60, NOW_S)
        for wanted, expected in ((key(), b"kept"), (key(2), None)):
            getting = store.get(wanted, NOW_S)
            with pytest.raises(StopIteration) as ended:
                getting.send(None)
            assert ended.value.value == expected


async def test_the_file_is_read_outside_the_event_loop(
    store: SqliteContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(key(), b"kept", 60, NOW_S)
    await settle(store)
    threads: list[str] = []
    read = store._read

    def watched(name: bytes, now_s: float) -> Item | None:
        threads.append(threading.current_thread().name)
        return read(name, now_s)

    monkeypatch.setattr(store, "_read", watched)
    assert await store.get(key(), NOW_S) == b"kept"
    assert [name.startswith("bursar-content-reader") for name in threads] == [True]


async def test_the_file_is_bounded_in_pieces_too(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path, without_front(Room(items_max=64)))) as store:
        for number in range(200):
            await store.put(key(number), b"x", 60, NOW_S + number)
            await settle(store)
        found = [number for number in range(200) if await store.get(key(number), NOW_S + 200 - 199)]
    assert 56 <= len(found) <= 64
    assert found == list(range(200 - len(found), 200))


async def test_the_room_counts_what_an_earlier_process_left(tmp_path: Path) -> None:
    room = Room(bytes_max=100_000)
    for number in range(30):
        with closing(SqliteContent.open(tmp_path, without_front(room))) as store:
            await store.put(key(number), b"x" * 9_000, 600, NOW_S + number)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        held, size = connection.execute("SELECT count(*), sum(size_bytes) FROM content").fetchone()
    assert size <= room.bytes_max
    assert held >= 8


async def test_content_is_not_kept_while_too_much_waits(
    store: SqliteContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._writer, "_waiting_bytes", WAITING_BYTES_MAX)
    assert not await store.put(key(), b"content", 60, NOW_S)
    assert await store.get(key(), NOW_S) is None


async def test_nothing_counts_as_waiting_once_it_is_written(store: SqliteContent) -> None:
    for number in range(50):
        await store.put(key(number % 7), b"x" * number, 60, NOW_S)
    await settle(store)
    assert store._writer._waiting_bytes == 0
    assert store._writer._waiting == {}


async def test_a_closed_store_keeps_nothing_more_and_says_so(store: SqliteContent) -> None:
    store.close()
    assert not await store.put(key(), b"content", 60, NOW_S)
    with pytest.raises(StoreFailed, match="closed"):
        await store.purge(NOW_S)


async def test_a_file_that_cannot_be_written_leaves_the_front_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        file = store._writer._file
        assert file is not None

        def fail(*_: object) -> list[bytes]:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(file, "write", fail)
        with caplog.at_level(logging.WARNING):
            assert await store.put(key(), b"content", 60, NOW_S)
            await asyncio.to_thread(_wait_until_failed, store)
        assert await store.get(key(), NOW_S) == b"content"
        assert [r.getMessage() for r in caplog.records if "disk is full" in r.getMessage()]
        # The next write gets a new connection.
        assert await store.put(key(2), b"content", 60, NOW_S)
        await settle(store)
        assert store.is_well


def _wait_until_failed(store: SqliteContent) -> None:
    done = threading.Event()
    for _ in range(500):
        if not store.is_well:
            return
        done.wait(0.01)


async def test_deleting_from_a_file_that_has_vanished_is_reported(tmp_path: Path) -> None:
    with closing(SqliteContent.open(tmp_path)) as store:
        writer = store._writer
        await settle(store)
        writer._disconnect()
        remove_files(tmp_path)
        with pytest.raises(StoreFailed, match=FILE_NAME):
            await store.delete_tenant("acme-tenant")
        assert not store.is_well
        assert not (tmp_path / FILE_NAME).exists()


async def test_content_that_cannot_be_read_is_a_miss(
    store: SqliteContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(key(), b"kept", 60, NOW_S)
    await settle(store)

    def fail(_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr("bursar.adapters.content.sqlite.ContentReader", fail)
    assert await store.get(key(), NOW_S) is None


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


@pytest.mark.parametrize("damage", [garbage, of_another_program])
async def test_a_damaged_or_foreign_file_is_left_untouched_and_memory_stands_in(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    damage(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(CorruptStore, match="left untouched"):
        SqliteContent.open(tmp_path)
    with closing(open_content(tmp_path)) as store:
        assert isinstance(store, MemoryContent)
        assert not store.is_well
        assert await store.put(key(), b"content", 60, NOW_S)
        assert await store.get(key(), NOW_S) == b"content"
    assert path.read_bytes() == before
    assert "left untouched" in caplog.text


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    SqliteContent.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreFailed, match="another version"):
        SqliteContent.open(tmp_path)


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreFailed, match="content store"):
        SqliteContent.open(tmp_path / "file")


def test_a_directorys_store_is_its_file_where_that_can_be_used(tmp_path: Path) -> None:
    with closing(open_content(tmp_path / "new")) as store:
        assert isinstance(store, SqliteContent)
        assert store.is_well


def test_items_are_counted_with_their_overhead() -> None:
    items = BoundedItems(100 * OVERHEAD_BYTES)
    for number in range(1_000):
        items.put(Item(number.to_bytes(4), b"tenant", b"", NOW_S))
    assert 87 <= len(items) <= 100
    assert items.size_bytes == len(items) * OVERHEAD_BYTES
