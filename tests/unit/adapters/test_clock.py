import time

import pytest

from bursar.adapters.clock import WallClock


def test_time_is_the_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert WallClock().now() == pytest.approx(time.time(), abs=0.5)


def test_time_passes_faster_by_its_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: wall[0])
    clock = WallClock(60)
    start_s = clock.now()
    wall[0] += 2
    assert clock.now() == start_s + 120


def test_time_never_goes_backwards_with_the_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock()
    before_s = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.now() >= before_s


async def test_sleep_is_shortened_by_the_scale() -> None:
    started = time.perf_counter()
    await WallClock(10_000).sleep(100)
    assert time.perf_counter() - started < 2
