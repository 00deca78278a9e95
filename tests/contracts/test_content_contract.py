"""What every content store promises, whatever it keeps content in."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bursar.adapters.content.file import Room
from bursar.adapters.content.memory import MemoryContent
from bursar.adapters.content.sqlite import ContentOptions, SqliteContent
from bursar.ports import ContentKey, ContentKind

NOW_S = 1_764_000_000.0
ROOM_BYTES = 1 << 20


def in_memory(_: Path) -> MemoryContent:
    return MemoryContent(ROOM_BYTES)


def in_a_file(folder: Path) -> SqliteContent:
    return SqliteContent.open(folder, ContentOptions(Room(ROOM_BYTES), front_bytes_max=ROOM_BYTES // 2))


def in_a_file_without_front(folder: Path) -> SqliteContent:
    return SqliteContent.open(folder, ContentOptions(Room(ROOM_BYTES), front_bytes_max=0))


@pytest.fixture(params=[in_memory, in_a_file, in_a_file_without_front])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    make: Callable[[Path], Any] = request.param
    with closing(make(tmp_path)) as made:
        yield made


def key(number: int = 1, tenant: str = "acme", kind: ContentKind = ContentKind.RESPONSE) -> ContentKey:
    return ContentKey(tenant, kind, number.to_bytes(32))


async def settle(store: Any) -> None:
    """Let what waits be written: a purge comes after it and, at this time, removes nothing."""
    assert await store.purge(0.0) == 0


@pytest.mark.parametrize("content", [b"", b"\0\xff", b"x" * 100_000])
async def test_what_was_put_is_found_at_once_and_later(store: Any, content: bytes) -> None:
    assert await store.put(key(), content, 60, NOW_S)
    assert await store.get(key(), NOW_S + 1) == content
    await settle(store)
    assert await store.get(key(), NOW_S + 2) == content
    assert await store.get(key(), NOW_S + 3) == content


async def test_nothing_is_found_where_nothing_was_put(store: Any) -> None:
    assert await store.get(key(), NOW_S) is None


async def test_content_is_gone_when_its_time_has_passed(store: Any) -> None:
    await store.put(key(), b"kept", 60, NOW_S)
    assert await store.get(key(), NOW_S + 59.9) == b"kept"
    assert await store.get(key(), NOW_S + 60) is None
    await settle(store)
    assert await store.get(key(), NOW_S + 60) is None


async def test_each_content_has_its_own_time_to_live(store: Any) -> None:
    await store.put(key(1), b"short", 10, NOW_S)
    await store.put(key(2), b"long", 1_000, NOW_S)
    assert await store.get(key(1), NOW_S + 11) is None
    assert await store.get(key(2), NOW_S + 11) == b"long"


async def test_new_content_takes_the_place_and_the_time_of_the_old(store: Any) -> None:
    await store.put(key(), b"old", 10, NOW_S)
    await store.put(key(), b"new", 1_000, NOW_S)
    await settle(store)
    await store.put(key(), b"newest", 1_000, NOW_S + 1)
    assert await store.get(key(), NOW_S + 500) == b"newest"
    await settle(store)
    assert await store.get(key(), NOW_S + 500) == b"newest"


async def test_tenants_and_kinds_never_meet(store: Any) -> None:
    keys = [key(tenant=tenant, kind=kind) for tenant in ("acme", "other", "") for kind in ContentKind]
    for number, one in enumerate(keys):
        await store.put(one, b"%d" % number, 60, NOW_S)
    await settle(store)
    assert [await store.get(one, NOW_S) for one in keys] == [b"%d" % n for n in range(len(keys))]


async def test_a_tenants_name_and_a_digest_are_not_confused_where_they_join(store: Any) -> None:
    await store.put(ContentKey("a", ContentKind.MEMO, b"bc"), b"mine", 60, NOW_S)
    assert await store.get(ContentKey("ab", ContentKind.MEMO, b"c"), NOW_S) is None


async def test_deleting_a_tenant_deletes_all_of_it_and_nothing_else(store: Any) -> None:
    for number in range(20):
        await store.put(key(number), b"mine", 60, NOW_S)
        await store.put(key(number, "other"), b"theirs", 60, NOW_S)
    assert await store.delete_tenant("acme") == 20
    for number in range(20):
        assert await store.get(key(number), NOW_S) is None
        assert await store.get(key(number, "other"), NOW_S) == b"theirs"
    assert await store.delete_tenant("acme") == 0
    assert await store.put(key(), b"again", 60, NOW_S)
    assert await store.get(key(), NOW_S) == b"again"


async def test_purging_deletes_what_has_expired_and_nothing_else(store: Any) -> None:
    for number in range(20):
        await store.put(key(number), b"content", 10 if number % 2 else 100, NOW_S)
    assert await store.purge(NOW_S + 10) == 10
    assert await store.purge(NOW_S + 10) == 0
    assert [n for n in range(20) if await store.get(key(n), NOW_S + 10)] == list(range(0, 20, 2))


async def test_what_is_too_large_is_not_kept_and_says_so(store: Any) -> None:
    assert not await store.put(key(), b"x" * ROOM_BYTES, 60, NOW_S)
    assert await store.get(key(), NOW_S) is None


async def test_the_least_recently_used_leaves_first(store: Any) -> None:
    content = b"x" * 20_000
    for number in range(40):
        await store.put(key(number), content, 60, NOW_S)
    await settle(store)
    for number in range(10):
        assert await store.get(key(number), NOW_S + 1) == content
    for number in range(40, 60):
        await store.put(key(number), content, 60, NOW_S + 2)
    await settle(store)
    found = [number for number in range(60) if await store.get(key(number), NOW_S + 3)]
    assert set(range(10)) <= set(found)
    assert set(range(40, 60)) <= set(found)
    assert len(found) * len(content) <= ROOM_BYTES
    assert not {10, 11, 12} & set(found)


async def test_a_closed_store_can_be_closed_again(store: Any) -> None:
    await store.put(key(), b"content", 60, NOW_S)
    store.close()
    store.close()
