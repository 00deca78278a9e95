import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from bursar.drivers.joining import InFlight, Lead

KEY, OTHER = b"key", b"other"


async def call(in_flight: InFlight[str], key: bytes, ask: Callable[[], Awaitable[str | None]]) -> str | None:
    """What a driver does: join, or lead and share what came."""
    joined = await in_flight.join(key)
    if not isinstance(joined, Lead):
        return joined
    with joined as lead:
        answer = await ask()
        if answer is not None:
            lead.share(answer)
        return answer


class Upstream:
    """Answers after a moment; the first so many calls fail."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self.under_way = 0
        self.most_under_way = 0
        self._failures = failures

    async def ask(self) -> str | None:
        self.calls += 1
        number = self.calls
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0.001)
        finally:
            self.under_way -= 1
        return None if number <= self._failures else f"answer {number}"


async def begin(count: int = 1) -> None:
    """Let tasks run up to their first wait."""
    for _ in range(count):
        await asyncio.sleep(0)


async def leader_of(in_flight: InFlight[str], key: bytes = KEY) -> Lead[str]:
    lead = await in_flight.join(key)
    assert isinstance(lead, Lead)
    return lead


async def test_a_thousand_identical_calls_at_once_are_one_upstream() -> None:
    in_flight, upstream = InFlight[str](), Upstream()
    answers = await asyncio.gather(*(call(in_flight, KEY, upstream.ask) for _ in range(1_000)))
    assert answers == ["answer 1"] * 1_000
    assert upstream.calls == 1
    assert (len(in_flight), in_flight.waiting) == (0, 0)


async def test_different_calls_do_not_wait_for_each_other() -> None:
    in_flight, upstream = InFlight[str](), Upstream()
    answers = await asyncio.gather(*(call(in_flight, bytes([n]), upstream.ask) for n in range(5)))
    assert len(set(answers)) == 5
    assert upstream.most_under_way == 5


async def test_a_call_after_the_leader_has_landed_leads_anew() -> None:
    in_flight, upstream = InFlight[str](), Upstream()
    assert await call(in_flight, KEY, upstream.ask) == "answer 1"
    assert await call(in_flight, KEY, upstream.ask) == "answer 2"


async def test_a_leader_that_brings_nothing_is_followed_by_one_at_a_time() -> None:
    in_flight, upstream = InFlight[str](), Upstream(failures=3)
    answers = await asyncio.gather(*(call(in_flight, KEY, upstream.ask) for _ in range(100)))
    assert Counter(answers) == {None: 3, "answer 4": 97}
    assert (upstream.calls, upstream.most_under_way) == (4, 1)
    assert (len(in_flight), in_flight.waiting) == (0, 0)


async def test_a_leader_that_raises_wakes_the_next() -> None:
    in_flight = InFlight[str]()

    async def break_down() -> str | None:
        await begin()
        raise LookupError

    leading = asyncio.create_task(call(in_flight, KEY, break_down))
    await begin()
    following = asyncio.create_task(call(in_flight, KEY, Upstream().ask))
    assert await following == "answer 1"
    with pytest.raises(LookupError):
        await leading


async def test_a_leader_that_is_cancelled_wakes_the_next() -> None:
    in_flight, upstream = InFlight[str](), Upstream()
    leading = asyncio.create_task(call(in_flight, KEY, upstream.ask))
    await begin()
    followers = [asyncio.create_task(call(in_flight, KEY, upstream.ask)) for _ in range(3)]
    await begin()
    leading.cancel()
    assert await asyncio.gather(*followers) == ["answer 2"] * 3
    assert leading.cancelled()


async def test_a_follower_that_is_cancelled_leaves_the_others_waiting() -> None:
    in_flight, upstream = InFlight[str](), Upstream()
    tasks = [asyncio.create_task(call(in_flight, KEY, upstream.ask)) for _ in range(4)]
    await begin()
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers.pop(1), asyncio.CancelledError)
    assert answers == ["answer 1"] * 3
    assert in_flight.waiting == 0


async def test_a_lead_given_to_one_who_is_cancelled_in_that_moment_goes_on_to_the_next() -> None:
    in_flight, upstream = InFlight[str](), Upstream()
    lead = await leader_of(in_flight)
    first, second = (asyncio.create_task(call(in_flight, KEY, upstream.ask)) for _ in range(2))
    await begin()
    lead.give_up()
    first.cancel()
    assert await second == "answer 1"
    assert first.cancelled()
    assert (len(in_flight), in_flight.waiting) == (0, 0)


async def test_a_lead_given_up_with_nobody_waiting_is_forgotten() -> None:
    in_flight = InFlight[str]()
    (await leader_of(in_flight)).give_up()
    assert len(in_flight) == 0


async def test_who_waits_too_long_goes_alone_and_shares_nothing() -> None:
    in_flight = InFlight[str](wait_max_s=0.005)
    lead = await leader_of(in_flight)
    alone = await leader_of(in_flight)
    assert alone.followers == 0
    assert alone.share("mine") == 0
    assert len(in_flight) == 1
    assert lead.share("theirs") == 0
    assert (len(in_flight), in_flight.waiting) == (0, 0)


async def test_who_would_be_one_too_many_to_wait_goes_alone() -> None:
    in_flight = InFlight[str](waiting_max=1)
    lead = await leader_of(in_flight)
    follower = asyncio.create_task(in_flight.join(KEY))
    await begin()
    (await leader_of(in_flight)).give_up()
    assert (lead.followers, in_flight.waiting) == (1, 1)
    lead.share("answer")
    assert await follower == "answer"


async def test_ending_a_lead_twice_does_not_end_the_next_one() -> None:
    in_flight = InFlight[str]()
    lead = await leader_of(in_flight)
    lead.share("answer")
    following = await leader_of(in_flight)
    lead.give_up()
    lead.share("again")
    assert len(in_flight) == 1
    following.give_up()


async def test_keys_that_are_given_up_leave_no_trace() -> None:
    in_flight, upstream = InFlight[str](), Upstream(failures=10)
    answers = await asyncio.gather(*(call(in_flight, OTHER, upstream.ask) for _ in range(10)))
    assert answers == [None] * 10
    assert (len(in_flight), in_flight.waiting) == (0, 0)
