import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest

from budget_cases import DAY, MINUTE, MONTH, NOW_S, OPEN, TOTAL, demand, reservation, sweep
from bursar.adapters.budgets.connection import RedisOptions
from bursar.adapters.budgets.names import Names
from bursar.adapters.budgets.redis import RedisBudgets
from bursar.domain.reservations import Counter, End, Ended, Exceeded, Held, Level, Period, Unit
from bursar.errors import BadSetting, StoreFailed
from redis_process import RedisProcess, redis_process

CALL = reservation("a", demand(MONTH, 7, 10), demand(DAY, 1))
SECRETS = re.compile("acme|bursar:1|organisation|month")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with redis_process() as started:
        yield started


@asynccontextmanager
async def store_at(url: str, **options: Any) -> AsyncIterator[RedisBudgets]:
    made = RedisBudgets.open(url, RedisOptions(**options))
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def store(server: RedisProcess) -> AsyncIterator[RedisBudgets]:
    server.cli("FLUSHALL")
    async with store_at(server.url) as made:
        yield made


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    """Serve connections until the block ends, and return the URL; then none of them is left."""
    serving: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(accept(reader, writer)))

    listener = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    finally:
        listener.close()
        for one in serving:
            one.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        # Transports close in the next turn of the loop.
        await asyncio.sleep(0)


class Link:
    """Passes bytes on to a server, counts what clients send, and may keep answers back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.requests: list[bytes] = []
        self.connections = 0
        self.loses_answers = False

    def open(self) -> "AbstractAsyncContextManager[str]":
        return listening(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def answer() -> None:
            while data := await server_reader.read(1 << 16):
                if not self.loses_answers:
                    writer.write(data)

        answering = asyncio.create_task(answer())
        try:
            while data := await reader.read(1 << 16):
                self.requests.append(data)
                server_writer.write(data)
        finally:
            answering.cancel()
            server_writer.close()
            await asyncio.wait([answering])


def answering_with(answer: bytes) -> "AbstractAsyncContextManager[str]":
    """Serve something that says the same to whatever it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            writer.write(answer)

    return listening(serve)


# Its own clock, and how long it keeps what.


async def test_leases_expire_by_redis_s_clock_whatever_the_caller_says(store: RedisBudgets) -> None:
    short = reservation("a", demand(MONTH, 7))
    await store.reserve(short, NOW_S)
    await store.renew(["a"], 1, NOW_S + 1e6)
    assert list(await sweep(store, NOW_S + 1e9)) == []


async def test_what_redis_s_clock_has_passed_is_swept(server: RedisProcess, store: RedisBudgets) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    key = server.cli("KEYS", "*leases")
    server.cli("ZADD", key, str(int(time.time() * 1000) - 1), "=a")
    assert [one.reservation_id for one in await sweep(store, 0.0)] == ["a"]
    assert await store.read([MONTH], NOW_S) == (Level(7, 0),)


async def test_a_lease_of_another_version_does_not_keep_the_others_from_being_found(
    server: RedisProcess, store: RedisBudgets, caplog: pytest.LogCaptureFixture
) -> None:
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    server.cli("SET", Names("default").lease("=odd"), "h7\nwho knows")
    for at_ms, name in (("1", "=odd"), ("2", "=a")):
        server.cli("ZADD", "bursar:1:{=default}:leases", at_ms, name)
    assert [one.reservation_id for one in await store.find_left(NOW_S)] == ["a"]
    assert [one.reservation_id for one in await sweep(store, NOW_S)] == ["a"]
    assert "=odd, which this version cannot read" in caplog.text
    assert server.cli("ZCARD", "bursar:1:{=default}:leases") == "1"


async def test_a_lease_that_somebody_deleted_does_not_stop_the_sweep(
    server: RedisProcess, store: RedisBudgets
) -> None:
    server.cli("ZADD", "bursar:1:{=default}:leases", "1", "=gone")
    await store.reserve(reservation("a", demand(MONTH, 7)), NOW_S)
    server.cli("ZADD", "bursar:1:{=default}:leases", "2", "=a")
    assert [one.reservation_id for one in await sweep(store, NOW_S, most=2)] == ["a"]
    assert server.cli("ZCARD", "bursar:1:{=default}:leases") == "0"


@pytest.mark.parametrize(
    ("period", "kept_s"),
    [
        (Period.MINUTE, 300),
        (Period.HOUR, 48 * 3_600),
        (Period.DAY, 30 * 86_400),
        (Period.WEEK, 62 * 86_400),
        (Period.MONTH, 62 * 86_400),
        (Period.TOTAL, 90 * 86_400),
    ],
)
async def test_a_counter_is_kept_for_its_time_after_its_end(
    server: RedisProcess, store: RedisBudgets, period: Period, kept_s: int
) -> None:
    now_s = int(time.time())
    end_s = None if period is Period.TOTAL else now_s + 100
    left_s = kept_s + (0 if end_s is None else 100)
    call = reservation("a", demand(Counter("user:acme/u", Unit.NUSD, period, 0, end_s), 1))
    await store.reserve(call, now_s)
    [key] = server.cli("KEYS", "*counter*").split()
    assert left_s - 5 <= int(server.cli("TTL", key)) <= left_s + 1
    await store.settle(call, [1], now_s)
    assert left_s - 5 <= int(server.cli("TTL", key)) <= left_s + 1


@pytest.mark.parametrize("scope", ["organisation", "tenant:acme", "agent:acme/user:", "key:k1"])
async def test_what_was_spent_of_a_limit_in_total_is_never_forgotten(
    server: RedisProcess, store: RedisBudgets, scope: str
) -> None:
    counter = Counter(scope, Unit.NUSD, Period.TOTAL)
    call = reservation("a", demand(counter, 1))
    await store.reserve(call, NOW_S)
    [key] = server.cli("KEYS", "*counter*").split()
    assert server.cli("TTL", key) == "-1"
    server.cli("EXPIRE", key, "1000")
    await store.settle(call, [1], NOW_S)
    assert server.cli("TTL", key) == "-1"
    await store.correct(counter, 5, NOW_S)
    assert server.cli("TTL", key) == "-1"


async def test_only_what_is_held_has_no_end(server: RedisProcess, store: RedisBudgets) -> None:
    calls = [reservation(name, demand(MONTH, 1), demand(OPEN, 1)) for name in "abc"]
    for call in calls:
        await store.reserve(call, NOW_S)
    await store.settle(calls[0], [1, 1], NOW_S)
    await store.release(calls[1], NOW_S)
    lasting = {key for key in server.cli("KEYS", "*").split() if server.cli("TTL", key) == "-1"}
    assert lasting == {f"bursar:1:{{=default}}:{name}" for name in ("leases", "state", "lease:=c")}


async def test_organisations_share_a_server_and_nothing_else(
    server: RedisProcess, store: RedisBudgets
) -> None:
    await store.reserve(CALL, NOW_S)
    async with store_at(server.url, organisation="other") as other:
        assert await other.read([MONTH], NOW_S) == (Level(0, 0),)
        assert await other.reserve(CALL, NOW_S) == Held((Level(0, 7), Level(0, 1)))
        await store.settle(CALL, [3, 1], NOW_S)
        assert await other.read([MONTH], NOW_S) == (Level(0, 7),)


@pytest.mark.parametrize("text", ["x" * 10_000, "ü" * 81, "a{b}c", "\n\0", ""])
def test_keys_are_short_and_in_the_slot_of_their_organisation(text: str) -> None:
    names = Names(text)
    keys = [
        names.leases,
        names.lease(names.reservation(text)),
        names.conversation(text),
        names.counter(Counter(text, Unit.OPEN_CALLS, Period.MINUTE, 10**12, 10**12)),
    ]
    assert max(len(key.encode()) for key in keys) < 300
    assert len({re.match(r"[^{]*\{([^}]+)\}", key).group(1) for key in keys}) == 1  # type: ignore[union-attr]


# Round trips and retries.


async def test_each_step_is_one_round_trip(server: RedisProcess) -> None:
    link = Link(server.port)
    async with link.open() as url, store_at(url) as store:
        await store.read([MONTH], NOW_S)
        await store.settle(msgspec.structs.replace(CALL, reservation_id="first"), [1, 1], NOW_S)
        await store.reserve(msgspec.structs.replace(CALL, reservation_id="first"), NOW_S)
        link.requests.clear()
        for step in (
            store.reserve(CALL, NOW_S),
            store.extend(CALL, NOW_S),
            store.settle(CALL, [1, 1], NOW_S),
            store.release(CALL, NOW_S),
            store.read([MONTH, DAY], NOW_S),
        ):
            await step
            assert len(link.requests) == 1
            assert b"EVALSHA" in link.requests.pop()


async def test_a_server_that_forgot_the_steps_is_told_them_again(
    server: RedisProcess, store: RedisBudgets
) -> None:
    await store.reserve(CALL, NOW_S)
    server.cli("SCRIPT", "FLUSH")
    assert await store.settle(CALL, [3, 1], NOW_S) == Ended(End.SETTLED, True, (Level(3, 0), Level(1, 0)))


@pytest.mark.parametrize("step", ["reserve", "extend", "settle", "release", "correct"])
async def test_a_step_whose_answer_was_lost_can_be_asked_again(
    server: RedisProcess, store: RedisBudgets, step: str
) -> None:
    link = Link(server.port)
    wider = reservation("a", demand(MONTH, 9, 10), demand(DAY, 1))
    async with link.open() as url, store_at(url, timeout_s=0.15) as shaky:

        def ask() -> Any:
            match step:
                case "reserve":
                    return shaky.reserve(CALL, NOW_S)
                case "extend":
                    return shaky.extend(wider, NOW_S)
                case "settle":
                    return shaky.settle(CALL, [3, 1], NOW_S)
                case "release":
                    return shaky.release(CALL, NOW_S)
                case _:
                    return shaky.correct(MONTH, 5, NOW_S)

        # The server knows all steps beforehand, so that the answer which is lost is the step's own.
        await store.reserve(reservation("b", demand(OPEN, 1)), NOW_S)
        await store.release(reservation("b", demand(OPEN, 1)), NOW_S)
        await store.correct(TOTAL, 0, NOW_S)
        if step != "reserve":
            await store.reserve(CALL, NOW_S)
        await shaky.read([MONTH], NOW_S)
        link.loses_answers = True
        with pytest.raises(StoreFailed, match="did not answer in time") as failed:
            await ask()
        assert not SECRETS.search(str(failed.value))
        stands = await store.read([MONTH, DAY], NOW_S)
        link.loses_answers = False
        connections = link.connections
        outcome = await ask()
    # The answer that came too late is nobody's: its connection is gone.
    assert link.connections == connections + 1
    assert await store.read([MONTH, DAY], NOW_S) == stands
    assert (
        outcome
        == {
            "reserve": Held((Level(0, 7), Level(0, 1))),
            "extend": Held((Level(0, 9), Level(0, 1))),
            "settle": Ended(End.SETTLED, is_first=False),
            "release": Ended(End.RELEASED, is_first=False),
            "correct": Level(5, 7),
        }[step]
    )


async def test_a_cancelled_step_leaves_no_answer_for_the_next(
    server: RedisProcess, store: RedisBudgets
) -> None:
    link = Link(server.port)
    async with link.open() as url, store_at(url, connections_max=1) as shaky:
        await shaky.read([MONTH], NOW_S)
        link.loses_answers = True
        asking = asyncio.create_task(shaky.reserve(CALL, NOW_S))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        link.loses_answers = False
        assert await shaky.read([MONTH, TOTAL], NOW_S) == (Level(0, 7), Level(0, 0))
    assert await store.settle(CALL, [1, 1], NOW_S) == Ended(End.SETTLED, True, (Level(1, 0), Level(1, 0)))


async def test_a_server_that_comes_back_is_used_again() -> None:
    with redis_process() as first:
        port = first.port
        store = RedisBudgets.open(first.url, RedisOptions(timeout_s=1.0))
        await store.reserve(CALL, NOW_S)
    with pytest.raises(StoreFailed, match="cannot be reached"):
        await store.reserve(CALL, NOW_S)
    with redis_process(port=port):
        assert await store.reserve(CALL, NOW_S) == Held((Level(0, 7), Level(0, 1)))
    await store.close()


async def test_more_callers_than_connections_wait_for_one(server: RedisProcess) -> None:
    server.cli("FLUSHALL")
    async with store_at(server.url, connections_max=4) as store:
        outcomes = await asyncio.gather(
            *(store.reserve(reservation(f"r{n}", demand(MONTH, 1, 150)), NOW_S) for n in range(200))
        )
    assert sum(isinstance(one, Held) for one in outcomes) == 150


async def test_processes_that_share_a_server_never_pass_a_limit(server: RedisProcess) -> None:
    server.cli("FLUSHALL")
    async with store_at(server.url) as one, store_at(server.url) as other:
        outcomes = await asyncio.gather(
            *(
                (one, other)[n % 2].reserve(reservation(f"r{n}", demand(MONTH, 7, 100)), NOW_S)
                for n in range(60)
            )
        )
        assert sum(isinstance(outcome, Held) for outcome in outcomes) == 14
        assert await one.read([MONTH], NOW_S) == (Level(0, 98),)


# What is no Redis, or none that will do.


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"+OK\r\n",
        b":7\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"*1\r\n$4\r\nheld\r\n",
        b"*3\r\n$4\r\nheld\r\n$1\r\nx\r\n$1\r\n0\r\n",
        b"*3\r\n$4\r\nheld\r\n:1\r\n:0\r\n",
        b"*2\r\n$5\r\nended\r\n$1\r\nz\r\n",
        b"*2\r\n$8\r\nexceeded\r\n$1\r\n0\r\n",
        b"*1\r\n*1\r\n$4\r\nheld\r\n",
        b"-WRONGTYPE Operation against bursar:1:{acme}:x\r\n",
        b"-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n",
        b"-SURPRISE bursar:1:{acme}:x\r\n",
        b"\xff\xfe\x00\r\n",
    ],
)
async def test_garbage_is_told_as_such_and_admits_nothing(answer: bytes) -> None:
    async with answering_with(answer) as url, store_at(url, timeout_s=1.0) as store:
        for step in (
            store.reserve(CALL, NOW_S),
            store.extend(CALL, NOW_S),
            store.settle(CALL, [1, 1], NOW_S),
            store.release(CALL, NOW_S),
            store.read([MONTH], NOW_S),
            store.correct(MONTH, 1, NOW_S),
            store.check(),
        ):
            with pytest.raises(StoreFailed, match=r"^the budget store [a-z]") as failed:
                await step
            assert not SECRETS.search(str(failed.value).replace("keys that begin with bursar:1:", ""))


async def test_keys_of_another_kind_are_named_as_the_fault(server: RedisProcess, store: RedisBudgets) -> None:
    server.cli("SET", Names("default").counter(MONTH), "mine")
    with pytest.raises(StoreFailed, match="has other things under keys"):
        await store.reserve(CALL, NOW_S)


async def test_a_counter_that_holds_no_numbers_admits_nothing(
    server: RedisProcess, store: RedisBudgets
) -> None:
    server.cli("HSET", Names("default").counter(MONTH), "s", "lots", "h", "0")
    with pytest.raises(StoreFailed, match="refused a step"):
        await store.reserve(CALL, NOW_S)
    assert await store.read([DAY], NOW_S) == (Level(0, 0),)


async def test_a_reservation_held_with_fewer_counters_is_refused_as_a_fault(store: RedisBudgets) -> None:
    await store.reserve(CALL, NOW_S)
    with pytest.raises(StoreFailed, match="refused a step"):
        await store.settle(reservation("a", demand(MONTH, 7)), [1], NOW_S)
    assert await store.read([MONTH, DAY], NOW_S) == (Level(0, 7), Level(0, 1))


async def test_without_memory_nothing_more_is_held_but_ends_are_counted() -> None:
    with redis_process("--maxmemory", "100mb", "--maxmemory-policy", "noeviction") as server:
        async with store_at(server.url) as store:
            await store.check()
            await store.reserve(CALL, NOW_S)
            server.cli("CONFIG", "SET", "maxmemory", "1mb")
            with pytest.raises(StoreFailed, match="out of memory"):
                await store.reserve(reservation("b", demand(MONTH, 1)), NOW_S)
            assert await store.settle(CALL, [3, 1], NOW_S) == Ended(
                End.SETTLED, True, (Level(3, 0), Level(1, 0))
            )
            assert await store.read([MONTH], NOW_S) == (Level(3, 0),)


async def test_a_server_that_may_drop_what_was_spent_is_refused() -> None:
    with redis_process("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        async with store_at(server.url) as store:
            with pytest.raises(StoreFailed, match="set its maxmemory-policy to noeviction"):
                await store.check()


async def test_a_password_is_asked_for() -> None:
    with redis_process("--requirepass", "secret") as server:
        async with store_at(server.url) as store:
            with pytest.raises(StoreFailed, match="password"):
                await store.check()
        async with store_at(server.url.replace("//", "//:secret@")) as store:
            await store.check()
        async with store_at(server.url.replace("//", "//:wrong@")) as store:
            with pytest.raises(StoreFailed, match="does not know this user and password"):
                await store.check()


async def test_a_cluster_is_recognised_and_works_as_one() -> None:
    with redis_process(is_cluster=True) as server:
        async with store_at(server.url, is_cluster=True) as store:
            await store.check()
            assert isinstance(await store.reserve(CALL, NOW_S), Held)
        async with store_at(server.url, organisation="other") as store:
            assert isinstance(await store.reserve(CALL, NOW_S), Held)


async def test_an_old_version_is_refused() -> None:
    info = b"# Server\r\nredis_version:6.2.14\r\n"
    async with answering_with(b"$%d\r\n%s\r\n" % (len(info), info)) as url, store_at(url) as store:
        with pytest.raises(StoreFailed, match="takes Redis 7 or Valkey"):
            await store.check()


async def test_where_nobody_listens_it_says_so() -> None:
    async with store_at("redis://127.0.0.1:1/0") as store:
        with pytest.raises(StoreFailed, match="cannot be reached"):
            await store.reserve(CALL, NOW_S)


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "http://:hush@localhost", "redis://:hush@localhost:x/0"]
)
@pytest.mark.parametrize("is_cluster", [False, True])
def test_what_is_no_url_of_a_redis_is_refused_without_its_password(url: str, is_cluster: bool) -> None:
    with pytest.raises(BadSetting, match=r"^storage\.redis") as refused:
        RedisBudgets.open(url, RedisOptions(is_cluster=is_cluster))
    assert "hush" not in str(refused.value)


async def test_a_counter_that_was_lost_while_it_held_something_begins_at_nothing(
    server: RedisProcess, store: RedisBudgets
) -> None:
    call = reservation("a", demand(MINUTE, 3), demand(MONTH, 7, 10))
    await store.reserve(call, NOW_S)
    server.cli("DEL", Names("default").counter(MINUTE))
    assert (await store.settle(call, [1, 5], NOW_S)).levels == (Level(1, 0), Level(5, 0))
    assert isinstance(await store.reserve(reservation("b", demand(MONTH, 6, 10)), NOW_S), Exceeded)
