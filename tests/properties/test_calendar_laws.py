"""Windows tile time, in every zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given
from hypothesis import strategies as st

from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Period

# A zone of this name follows the machine's own settings.
ZONES = sorted(available_timezones() - {"localtime"})
MOMENTS = st.integers(
    int(datetime(1970, 2, 1, tzinfo=UTC).timestamp()), int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
)
LENGTHS_S = {
    Period.MINUTE: (60, 60),
    Period.HOUR: (3600, 3600),
    # Vostok's clocks once went seven hours ahead at a day's start; Samoa's went a day ahead.
    Period.DAY: (16 * 3600, 28 * 3600),
    Period.WEEK: (6 * 86_400 - 4 * 3600, 7 * 86_400 + 4 * 3600),
    Period.MONTH: (26 * 86_400, 32 * 86_400),
}
CALENDARS = st.builds(Calendar, st.sampled_from(ZONES).map(ZoneInfo), st.integers(1, 31))


@given(CALENDARS, st.sampled_from(list(LENGTHS_S)), MOMENTS)
def test_windows_follow_each_other_without_gap_or_overlap(
    calendar: Calendar, period: Period, moment: int
) -> None:
    start_s, end_s = calendar.window(period, moment)
    assert end_s is not None
    assert start_s <= moment < end_s
    for inside in (start_s, start_s + 0.25, (start_s + end_s) // 2, end_s - 1):
        assert calendar.window(period, inside) == (start_s, end_s)
    assert calendar.window(period, end_s)[0] == end_s
    assert calendar.window(period, start_s - 1)[1] == start_s


@given(CALENDARS, st.sampled_from(list(LENGTHS_S)), MOMENTS)
def test_windows_are_about_as_long_as_their_name_says(
    calendar: Calendar, period: Period, moment: int
) -> None:
    start_s, end_s = calendar.window(period, moment)
    assert end_s is not None
    shortest_s, longest_s = LENGTHS_S[period]
    assert shortest_s <= end_s - start_s <= longest_s
