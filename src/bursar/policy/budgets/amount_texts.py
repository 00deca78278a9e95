"""Amounts of any unit, as interfaces and as people read them."""

from bursar.domain.money import usd_text
from bursar.domain.reservations import Period, Unit

_DECIMALS_MIN = 2

_SUFFIXES = {
    Unit.NUSD: "usd",
    Unit.TOKENS: "tokens",
    Unit.TURNS: "turns",
    Unit.REQUESTS: "requests",
    Unit.OPEN_CALLS: "calls",
}

_NOUNS = {
    Unit.TOKENS: "tokens",
    Unit.TURNS: "turns",
    Unit.REQUESTS: "requests",
    Unit.OPEN_CALLS: "concurrent calls",
}

_SPANS = {
    Period.MINUTE: "a minute",
    Period.HOUR: "an hour",
    Period.DAY: "a day",
    Period.WEEK: "a week",
    Period.MONTH: "a month",
    Period.TOTAL: "in total",
}


def suffix_of(unit: Unit) -> str:
    """Return what ends the names of amounts in a unit, such as `limit_usd`."""
    return _SUFFIXES[unit]


def exact(unit: Unit, amount: int) -> str | int:
    """Write an amount for a program: money as decimal USD with nine places, all else as a whole number."""
    return usd_text(amount) if unit is Unit.NUSD else amount


def spoken(unit: Unit, amount: int) -> str:
    """Write an amount for a person: `$4.20`, `40,000 tokens`, `1 turn`."""
    if unit is Unit.NUSD:
        whole, _, places = usd_text(amount).partition(".")
        return f"${int(whole):,}.{places.rstrip('0').ljust(_DECIMALS_MIN, '0')}"
    noun = _NOUNS[unit]
    return f"{amount:,} {noun.removesuffix('s') if amount == 1 else noun}"


def spoken_limit(unit: Unit, limit: int, period: Period) -> str:
    """Write a limit for a person: `$500.00 a month`, `3 concurrent calls`."""
    said = spoken(unit, limit)
    return said if unit is Unit.OPEN_CALLS else f"{said} {_SPANS[period]}"


def percent(per_mille: int) -> str:
    """Write a share as per cent, without a fraction where there is none."""
    whole, tenths = divmod(per_mille, 10)
    return f"{whole}.{tenths} %" if tenths else f"{whole} %"
