"""What people are told."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from bursar.domain.alerts import Alert
from bursar.domain.calendars import Calendar
from bursar.domain.reservations import Counter, Period, Unit
from bursar.policy.alerts.messages import Driver, Facts, one_line, sample_message, write_message

USD = 10**9
BERLIN = Calendar(ZoneInfo("Europe/Berlin"))


def at(day: int, hour: int = 0) -> int:
    return int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp())


MONTH = Counter("tenant:acme", Unit.NUSD, Period.MONTH, at(1) - 3600, at(30, 23))
ALERT = Alert(
    alert_id=17,
    counter=MONTH,
    at_per_mille=800,
    limit=500 * USD,
    settled=401_250_000_001,
    zone="Europe/Berlin",
    actions=("notify:slack", "prefer_cheaper"),
    crossed_at_s=at(20, 9) + 0.25,
)
FACTS = Facts(
    12_345_000_000,
    (
        ("agents", (Driver("desk", 300 * USD), Driver("", 101_250_000_001))),
        ("conversations", (Driver("c-1842", 57_000_000),)),
        ("models", ()),
    ),
)

NO_FACTS = Facts()

GOLDEN = """\
tenant:acme has used $401.25 of $500.00 a month (80.2 %).
The window: 2026-11-01T00:00:00+01:00 to 2026-12-01T00:00:00+01:00.
From here on cheaper models are preferred.

In the last hour: $12.34.
By the window's end, at the pace since it began: $619.96.
At the last hour's rate, the limit is reached about 2026-11-20T17:59:58+01:00.
Most by agents: desk ($300.00), unnamed ($101.25).
Most by conversations: c-1842 ($0.057).

To look: bursar budget show --scope tenant:acme
To see who spends: bursar report --by agent,conversation --since 24h
To raise the limit: bursar budget set --scope tenant:acme --limit-usd N --window month
To stop all its calls: bursar stop tenant:acme
To say that you look after it: bursar alert ack 17"""


def test_a_message_says_who_how_much_how_fast_what_drove_it_and_what_to_do() -> None:
    # 466 of 720 hours have passed: $401.25 x 720 / 466 = $619.96.
    # $98.75 are left: at $12.345 an hour 7 h 59 min 57.1 s, rounded up, from 10:00 in Berlin.
    message = write_message(ALERT, FACTS, BERLIN)
    assert message.title == "Bursar: tenant:acme has used 80 % of $500.00 a month"
    assert message.body == GOLDEN


def said(facts: Facts = NO_FACTS, **changes: object) -> str:
    return write_message(msgspec.structs.replace(ALERT, **changes), facts, Calendar()).body


def test_what_the_ledger_could_not_say_is_left_out() -> None:
    body = said()
    assert "last hour" not in body
    assert "Most by" not in body
    assert "At the pace since the window began, the limit is reached about 2026-11-25T" in body


def test_a_limit_that_will_hold_is_said_to_hold() -> None:
    assert "the limit is not reached before the window ends" in said(Facts(USD // 10))
    total = Counter("conversation:acme/c1", Unit.NUSD, Period.TOTAL)
    assert "the limit is not reached for years" in said(Facts(1), counter=total)


def test_a_limit_that_has_been_reached_has_no_forecast() -> None:
    body = said(FACTS, settled=500 * USD, actions=("refuse_new", "notify:ann", "throttle"))
    assert "The limit has been reached." in body
    assert "is reached about" not in body
    assert "From here on new conversations are refused and calls are throttled." in body


def test_a_total_has_no_window_and_no_end() -> None:
    total = Counter("conversation:acme/c1", Unit.TOKENS, Period.TOTAL)
    body = said(counter=total, limit=1000, settled=801)
    assert "801 tokens of 1,000 tokens in total (80.1 %)." in body
    assert "window" not in body.replace("--window total", "")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tenant:a b;rm", "--scope 'tenant:a b;rm'"),
        ("tenant:a\nTo pay: evil", "--scope SCOPE"),
        ("tenant:" + "x" * 200, "--scope tenant:xxx"),
    ],
)
def test_a_name_that_a_caller_chose_stays_in_its_line_and_in_its_argument(name: str, shown: str) -> None:
    message = write_message(
        msgspec.structs.replace(ALERT, counter=msgspec.structs.replace(MONTH, scope=name)), FACTS, BERLIN
    )
    assert shown in message.body
    assert "\n" not in message.title
    assert len(message.title) < 160
    assert len(message.body.splitlines()) == len(GOLDEN.splitlines())


def test_a_test_says_that_nothing_has_happened() -> None:
    assert "Nothing has happened" in sample_message("slack").body


def test_a_line_is_cut_where_it_is_too_long() -> None:
    assert one_line("a\tb" + "c" * 100, 5) == "a?bc…"


def test_how_the_limit_is_raised_is_said_where_the_budget_is_known() -> None:
    body = write_message(ALERT, FACTS, BERLIN, "change it in bursar.toml").body
    assert "To raise the limit: change it in bursar.toml\nTo stop" in body
    assert write_message(ALERT, FACTS, BERLIN, "a\nb").body == GOLDEN
