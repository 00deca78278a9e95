"""When the windows of budgets begin and end, in a scope's own time zone.

Windows of one period follow each other without gap or overlap. Minutes and hours are counted by absolute
time: the clock of a zone may show an hour twice, or begin it at half past. Days, weeks and months begin at
midnight of the zone: at the first one where the clock shows midnight twice, and where it leaps over midnight
at the leap. So a day may have 23 or 25 hours.
"""

import calendar
from datetime import UTC, date, datetime, timedelta, tzinfo

import msgspec

from bursar.domain.reservations import Period

_SECONDS = {Period.MINUTE: 60, Period.HOUR: 3600}
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class Calendar(msgspec.Struct, frozen=True):
    """Where and from which day on a scope counts.

    Attributes:
        zone: Its time zone.
        billing_day: Day of the month on which months begin, 1 to 31; in shorter months their last day.
    """

    zone: tzinfo = UTC
    billing_day: int = 1

    def window(self, period: Period, at_s: float) -> tuple[int, int | None]:
        """Return the window that holds a moment.

        Args:
            period: How long it is.
            at_s: The moment, in seconds since the epoch; from 1970 on.

        Returns:
            Its start and its end, exclusive, in whole seconds since the epoch; 0 and None for the total.
        """
        if period is Period.TOTAL:
            return 0, None
        if period in _SECONDS:
            length_s = _SECONDS[period]
            start_s = int(at_s // length_s) * length_s
            return start_s, start_s + length_s
        return self._days(period, at_s)

    def text(self, at_s: float) -> str:
        """Write a moment as RFC 3339, by the zone's clock."""
        moment = datetime.fromtimestamp(at_s, self.zone)
        offset = moment.utcoffset()
        if not offset or offset.seconds % 60:
            # RFC 3339 has no seconds in offsets; some zones had until 1972.
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return moment.isoformat(timespec="seconds")

    def _days(self, period: Period, at_s: float) -> tuple[int, int]:
        first = self._first_day(period, datetime.fromtimestamp(at_s, self.zone).date())
        start_s = self._midnight_s(first)
        # Where a leap of the clock touches midnight, its date may be a day off from the window's.
        while start_s > at_s:
            first = self._first_day(period, first - _DAY)
            start_s = self._midnight_s(first)
        while True:
            first = self._next_first_day(period, first)
            end_s = self._midnight_s(first)
            if end_s > at_s:
                return start_s, end_s
            start_s = end_s

    def _midnight_s(self, day: date) -> int:
        """Return when a day begins; one that the zone left out begins with the day after it."""
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def _first_day(self, period: Period, day: date) -> date:
        """Return the first day of the window that holds a day."""
        if period is Period.WEEK:
            return day - timedelta(days=day.weekday())
        if period is Period.MONTH:
            first = self._billing_date(day.year, day.month)
            if day >= first:
                return first
            before = day.replace(day=1) - _DAY
            return self._billing_date(before.year, before.month)
        return day

    def _next_first_day(self, period: Period, first: date) -> date:
        if period is Period.WEEK:
            return first + _WEEK
        if period is Period.MONTH:
            return self._billing_date(first.year + first.month // 12, first.month % 12 + 1)
        return first + _DAY

    def _billing_date(self, year: int, month: int) -> date:
        days = calendar.monthrange(year, month)[1]
        return date(year, month, min(self.billing_day, days))


class Windows:
    """The windows that were asked for last, of every calendar and period: most moments fall into them again.

    Calendars are few: those of the operator's budgets. Not thread-safe.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Calendar, Period], tuple[int, int | None]] = {}

    def of(self, calendar: Calendar, period: Period, at_s: float) -> tuple[int, int | None]:
        """Return the window that holds a moment, as `Calendar.window` does."""
        window = self._known.get((calendar, period))
        if window is not None and window[0] <= at_s and (window[1] is None or at_s < window[1]):
            return window
        window = self._known[calendar, period] = calendar.window(period, at_s)
        return window
