"""When windows begin and end."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from bursar.domain.calendars import Calendar, Windows
from bursar.domain.reservations import Period

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3600


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def hours(window: tuple[int, int | None]) -> float:
    start_s, end_s = window
    assert end_s is not None
    return (end_s - start_s) / HOUR_S


def test_a_day_begins_at_midnight_of_the_zone() -> None:
    window = Calendar(BERLIN).window(Period.DAY, at("2026-11-24T23:30:00+00:00"))
    assert window == (at("2026-11-25T00:00:00+01:00"), at("2026-11-26T00:00:00+01:00"))


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_a_day_may_have_23_or_25_hours(day: str, length: int) -> None:
    assert hours(Calendar(BERLIN).window(Period.DAY, at(f"{day}T12:00:00+02:00"))) == length


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    calendar = Calendar(BERLIN)
    first = calendar.window(Period.HOUR, at("2026-10-25T02:30:00+02:00"))
    second = calendar.window(Period.HOUR, at("2026-10-25T02:30:00+01:00"))
    assert first[1] == second[0]
    assert hours(first) == hours(second) == 1


def test_hours_are_counted_by_absolute_time_where_offsets_have_half_hours() -> None:
    calendar = Calendar(ZoneInfo("Asia/Kolkata"))
    assert calendar.window(Period.HOUR, at("2026-11-24T10:10:00+05:30"))[0] == at("2026-11-24T09:30:00+05:30")
    assert calendar.window(Period.DAY, at("2026-11-24T10:10:00+05:30"))[0] == at("2026-11-24T00:00:00+05:30")


def test_a_week_begins_on_monday() -> None:
    window = Calendar(BERLIN).window(Period.WEEK, at("2026-10-25T23:59:59+01:00"))
    assert window == (at("2026-10-19T00:00:00+02:00"), at("2026-10-26T00:00:00+01:00"))


@pytest.mark.parametrize(
    ("moment", "billing_day", "start", "end"),
    [
        ("2026-11-24T12:00:00Z", 1, "2026-11-01", "2026-12-01"),
        ("2026-11-24T12:00:00Z", 25, "2026-10-25", "2026-11-25"),
        ("2026-01-05T12:00:00Z", 15, "2025-12-15", "2026-01-15"),
        ("2026-12-31T23:59:59Z", 31, "2026-12-31", "2027-01-31"),
        ("2026-03-15T00:00:00Z", 31, "2026-02-28", "2026-03-31"),
        ("2028-02-29T00:00:00Z", 30, "2028-02-29", "2028-03-30"),
        ("2026-04-30T00:00:00Z", 31, "2026-04-30", "2026-05-31"),
    ],
)
def test_a_month_begins_on_its_billing_day_or_its_last(
    moment: str, billing_day: int, start: str, end: str
) -> None:
    window = Calendar(UTC, billing_day).window(Period.MONTH, at(moment))
    assert window == (at(f"{start}T00:00:00Z"), at(f"{end}T00:00:00Z"))


def test_the_total_has_no_end() -> None:
    assert Calendar(BERLIN).window(Period.TOTAL, 1.5) == (0, None)


def test_a_day_without_midnight_begins_at_the_leap() -> None:
    # São Paulo's clocks went from 23:59:59 to 01:00 on 4 November 2018.
    window = Calendar(ZoneInfo("America/Sao_Paulo")).window(Period.DAY, at("2018-11-04T12:00:00-02:00"))
    assert window[0] == at("2018-11-04T01:00:00-02:00")
    assert hours(window) == 23


def test_a_day_that_a_zone_left_out_has_no_window() -> None:
    # Samoa had no 30 December 2011.
    calendar = Calendar(ZoneInfo("Pacific/Apia"))
    before = calendar.window(Period.DAY, at("2011-12-29T12:00:00-10:00"))
    assert before[1] == at("2011-12-31T00:00:00+14:00")
    assert hours(before) == 24
    assert calendar.window(Period.DAY, before[1])[0] == before[1]


def test_a_clock_put_back_over_midnight_does_not_bring_the_day_before_back() -> None:
    # At 00:01 of 7 November 2010, St. John's clocks went back to 23:01 of the 6th.
    calendar = Calendar(ZoneInfo("America/St_Johns"))
    day = calendar.window(Period.DAY, at("2010-11-07T12:00:00-03:30"))
    assert day[0] == at("2010-11-07T00:00:00-02:30")
    assert calendar.window(Period.DAY, at("2010-11-06T23:30:00-03:30")) == day


def test_moments_are_written_as_rfc_3339_by_the_zones_clock() -> None:
    assert Calendar(BERLIN).text(at("2026-12-01T00:00:00+01:00")) == "2026-12-01T00:00:00+01:00"
    assert Calendar().text(0) == "1970-01-01T00:00:00Z"
    odd = timezone(timedelta(minutes=44, seconds=30))
    assert Calendar(odd).text(0) == "1970-01-01T00:00:00Z"


def test_windows_that_were_asked_for_are_remembered_and_left_again() -> None:
    windows, calendar = Windows(), Calendar(BERLIN)
    noon = at("2026-11-24T12:00:00Z")
    for moment in (noon, noon + 60, noon + 86_400, noon, noon + 5.5):
        for period in Period:
            assert windows.of(calendar, period, moment) == calendar.window(period, moment)
