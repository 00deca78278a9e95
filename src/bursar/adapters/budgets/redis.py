"""Reservations in Redis 7 or Valkey, for any number of processes.

A step is one script and one round trip. A step that failed may have happened; asking again is safe, and left
to the caller.
"""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, Self, cast

import msgspec
from redis.exceptions import NoScriptError, RedisError

from bursar.adapters.budgets.connection import RedisClient, RedisOptions, check_info, open_client, send
from bursar.adapters.budgets.failures import store_failed, unreadable
from bursar.adapters.budgets.names import Names
from bursar.adapters.budgets.replies import end_outcome, hold_outcome, levels, texts
from bursar.adapters.budgets.rules import (
    PRESUMED_KEPT_S,
    TOMBSTONE_KEPT_S,
    bounds_end_s,
    check_amounts,
    earlier_hour,
    kept_s,
    minute_demand,
    with_amounts,
)
from bursar.adapters.budgets.scripts import Script
from bursar.domain.reservations import (
    Counter,
    Demand,
    End,
    Ended,
    Exceeded,
    Held,
    Level,
    Reservation,
    Throttle,
    Throttled,
    Unit,
)

LOG = logging.getLogger("bursar.budgets")

_decode_reservation = msgspec.msgpack.Decoder(Reservation).decode
_encode_reservation = msgspec.msgpack.Encoder().encode

_Fields = list[str | int]


class RedisBudgets:
    """A `ports.BudgetStore` in Redis.

    Args:
        client: A client that returns texts as bytes and never repeats a command (`connection.open_client`).
        options: How it is used.
    """

    def __init__(self, client: RedisClient, options: RedisOptions) -> None:
        self._client = client
        self._goes_by_caller = options.goes_by_caller
        self._names = Names(options.organisation)
        self._info_script = Script.load("info_1")
        self._hold_script = Script.load("hold_1")
        self._end_script = Script.load("end_1")
        self._renew_script = Script.load("renew_1")
        self._due_script = Script.load("due_1")
        self._read_script = Script.load("read_1")
        self._correct_script = Script.load("correct_2")
        self._forget_script = Script.load("forget_1")

    @classmethod
    def open(cls, url: str, options: RedisOptions) -> Self:
        """Return the store at a URL (`redis://`, `rediss://` or `unix://`); nothing is sent yet.

        Raises:
            BadSetting: The URL is none.
        """
        return cls(open_client(url, options), options)

    async def check(self) -> None:
        """Make sure that budgets can be kept there.

        Raises:
            UnfitStore: It is too old, or may drop what it holds when memory runs short.
            StoreFailed: It cannot be asked.
        """
        # Asked from a script, so that in a cluster the node answers that has the organisation's keys.
        info = await self._run(self._info_script, [self._names.state], [])
        if not isinstance(info, bytes):
            raise unreadable()
        check_info(info)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def reserve(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Throttled | Ended:
        """Hold all or nothing; see `ports.BudgetStore`."""
        return await self._hold("reserve", reservation, reservation.throttles, now_s)

    async def extend(self, reservation: Reservation, now_s: float) -> Held | Exceeded | Ended:
        """Hold more; see `ports.BudgetStore`."""
        outcome = await self._hold("extend", reservation, (), now_s)
        if isinstance(outcome, Throttled):
            raise unreadable()
        return outcome

    async def settle(self, reservation: Reservation, amounts: Sequence[int], now_s: float) -> Ended:
        """Count what was really taken; see `ports.BudgetStore`."""
        check_amounts(reservation, amounts)
        return self._surely(await self._end(reservation, End.SETTLED, amounts, now_s))

    async def release(self, reservation: Reservation, now_s: float) -> Ended:
        """End what took nothing; see `ports.BudgetStore`."""
        nothing = (0,) * len(reservation.demands)
        return self._surely(await self._end(reservation, End.RELEASED, nothing, now_s))

    async def renew(self, reservation_ids: Sequence[str], ttl_s: int, now_s: float) -> frozenset[str]:
        """Hold for longer; see `ports.BudgetStore`."""
        named = {self._names.reservation(one).encode(): one for one in reservation_ids}
        if not named:
            return frozenset()
        reply = await self._run(
            self._renew_script,
            [self._names.leases, self._names.state],
            [self._now_ms(now_s), ttl_s * 1000, *named],
        )
        try:
            return frozenset([named[name] for name in texts(reply)])
        except KeyError:
            raise unreadable() from None

    async def find_left(self, now_s: float, most: int = 256, overdue_s: float = 0) -> Sequence[Reservation]:
        """Return what was left behind; see `ports.BudgetStore`."""
        found = [await self._held(name.decode()) for name in await self._due(now_s, most, overdue_s)]
        return [reservation for reservation in found if reservation is not None]

    async def presume(self, reservation: Reservation, now_s: float) -> Ended | None:
        """End what was left behind, as presumed; see `ports.BudgetStore`."""
        ended = await self._end(reservation, End.PRESUMED, reservation.amounts, now_s)
        return None if ended is None or not ended.is_first else ended

    async def read(self, counters: Sequence[Counter], now_s: float) -> Sequence[Level]:
        """Return how counters stand; see `ports.BudgetStore`."""
        del now_s
        if not counters:
            return []
        reply = await self._run(self._read_script, [self._names.counter(one) for one in counters], [])
        return levels(texts(reply), len(counters))

    async def correct(
        self, counter: Counter, settled: int, now_s: float, *, expected: int | None = None
    ) -> Level:
        """Set what is settled; see `ports.BudgetStore`."""
        if settled < 0:
            raise ValueError("an amount is below zero")
        amount = "" if counter.unit is Unit.OPEN_CALLS else settled
        reply = await self._run(
            self._correct_script,
            [self._names.counter(counter), self._names.state],
            [self._now_ms(now_s), amount, *_lifetime(counter), _or_none(expected)],
        )
        return levels(texts(reply), 1)[0]

    async def forget(
        self, belongs: Callable[[str], bool], known: Collection[str], *, is_dry_run: bool = False
    ) -> tuple[int, int]:
        """Forget what scopes have settled, as if they had begun now; what they hold stays held.

        Args:
            belongs: Whether a scope, as `str(Scope)`, is one of them.
            known: Those of them that are known; see `Names.is_of`.
            is_dry_run: Whether they are only counted.

        Returns:
            How many counters and conversations those were; and in how many counters something is held.
        """
        names, held = self._names, 0
        counters = [key async for key in self._scan(names.counters) if names.is_of(key, belongs, known)]
        conversations = [
            key async for key in self._scan(names.conversations) if names.is_of(key, belongs, known)
        ]
        for key in counters:
            if is_dry_run:
                left = await send(self._client, "HGET", key, "h")
            else:
                left = await self._run(self._forget_script, [key], [])
            held += left not in {None, b"0"}
        if not is_dry_run:
            for key in conversations:
                await send(self._client, "DEL", key)
        return len(counters) + len(conversations), held

    async def _scan(self, pattern: str) -> AsyncIterator[str]:
        """Yield all keys of a pattern that are there all the time, each once."""
        seen: set[bytes] = set()
        try:
            # The library's types do not say what its two clients have in common.
            async for key in cast("Any", self._client).scan_iter(match=pattern, count=1_000):
                if key not in seen:
                    seen.add(key)
                    yield key.decode()
        except (RedisError, OSError, TimeoutError) as error:
            raise store_failed(error) from error

    async def _hold(
        self, how: str, reservation: Reservation, throttles: Sequence[Throttle], now_s: float
    ) -> Held | Exceeded | Throttled | Ended:
        demands = reservation.demands
        check_amounts(reservation, reservation.amounts)
        keys = self._keys(reservation)
        if len(set(keys)) != len(keys):
            raise ValueError("a reservation asks something of one counter twice")
        arguments: list[str | int | bytes] = [
            self._now_ms(now_s),
            how,
            self._names.reservation(reservation.reservation_id),
            reservation.ttl_s * 1000,
            _encode_reservation(reservation),
            len(demands),
            len(throttles),
        ]
        for demand, amount in zip(demands, reservation.amounts, strict=True):
            arguments += _demand_fields(demand, amount)
        for throttle in throttles:
            keys += [self._names.counter(one) for one in (throttle.budget, *throttle.hours)]
            arguments += _throttle_fields(reservation, throttle)
        return hold_outcome(reservation, await self._run(self._hold_script, keys, arguments))

    async def _end(
        self, reservation: Reservation, end: End, amounts: Sequence[int], now_s: float
    ) -> Ended | None:
        kept_s = PRESUMED_KEPT_S if end is End.PRESUMED else TOMBSTONE_KEPT_S
        name = self._names.reservation(reservation.reservation_id)
        arguments: list[str | int | bytes] = [
            self._now_ms(now_s),
            end,
            name,
            kept_s * 1000,
            len(reservation.demands),
        ]
        for demand, amount in zip(reservation.demands, amounts, strict=True):
            is_counted = int(demand.counter.unit is not Unit.OPEN_CALLS)
            arguments += (amount, is_counted, _or_none(demand.new_limit), *_lifetime(demand.counter))
        reply = await self._run(self._end_script, self._keys(reservation), arguments)
        return end_outcome(reservation, end, reply)

    async def _due(self, now_s: float, most: int, overdue_s: float = 0) -> list[bytes]:
        """Return the names of what was left behind."""
        keys = [self._names.leases, self._names.state]
        arguments = [self._now_ms(now_s), most, int(overdue_s * 1000)]
        return texts(await self._run(self._due_script, keys, arguments))

    async def _held(self, name: str) -> Reservation | None:
        """Return what is held under a name, with its amounts; None if it has ended, or cannot be read."""
        key = self._names.lease(name)
        lease = await send(self._client, "GET", key)
        if lease is None:
            # Its lease was deleted by somebody else: nothing tells what was held.
            await send(self._client, "ZREM", self._names.leases, name)
            return None
        if not isinstance(lease, bytes):
            raise unreadable()
        state, _, written = lease.partition(b"\n")
        if not state.startswith(b"h"):
            return None
        try:
            amounts = [int(amount) for amount in state[1:].split(b",") if amount]
            return with_amounts(_decode_reservation(written), amounts)
        except (ValueError, msgspec.MsgspecError):
            # All others must go on being looked after; whoever runs its version can end it.
            LOG.warning("the budget store holds %s, which this version cannot read", name)
            return None

    @staticmethod
    def _surely(ended: Ended | None) -> Ended:
        if ended is None:
            raise unreadable()
        return ended

    def _keys(self, reservation: Reservation) -> list[str]:
        names = self._names
        return [
            names.lease(names.reservation(reservation.reservation_id)),
            names.leases,
            names.state,
            names.conversation(reservation.conversation),
            *[names.counter(demand.counter) for demand in reservation.demands],
        ]

    def _now_ms(self, now_s: float) -> str | int:
        """Return the time where the script is to go by it, else nothing."""
        return int(now_s * 1000) if self._goes_by_caller else ""

    async def _run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | int | bytes]
    ) -> object:
        """Run a step; it is sent whole only where Redis does not know it yet."""
        try:
            return await send(self._client, "EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await send(self._client, "EVAL", script.text, len(keys), *keys, *arguments)


def _demand_fields(demand: Demand, amount: int) -> _Fields:
    return [amount, _or_none(demand.limit), _or_none(demand.new_limit), *_lifetime(demand.counter)]


def _throttle_fields(reservation: Reservation, throttle: Throttle) -> _Fields:
    length_ms, _ = earlier_hour(throttle.hours[1], 0)
    return [
        throttle.from_amount,
        minute_demand(reservation, throttle),
        bounds_end_s(throttle.minute) * 1000,
        bounds_end_s(throttle.hours[1]) * 1000,
        length_ms,
        throttle.per_mille,
    ]


def _or_none(amount: int | None) -> str | int:
    return "" if amount is None else amount


def _lifetime(counter: Counter) -> _Fields:
    """Return when a counter's window ends, if it does, and how long it is kept then, in ms; "" is never."""
    end_ms = "" if counter.end_s is None else counter.end_s * 1000
    kept = kept_s(counter)
    return [end_ms, "" if kept is None else kept * 1000]
