"""Values that several tables of bursar.toml hold: shares, names, amounts of money, time zones."""

import difflib
from datetime import UTC, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, LiteralString
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from bursar.domain.attribution import LABEL_CHARS_MAX
from bursar.domain.money import nusd_from_usd
from bursar.domain.prices import PER_MILLE
from bursar.errors import BadAmount, BadSetting

NUSD_MAX = 1 << 62
"""The largest amount of money that a setting may hold, in nanodollars: $4.6 billion."""


def wrong(kind: LiteralString, message: str) -> PydanticCustomError:
    """Return an error of a kind; its message may hold any text, braces too."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def read_per_mille(value: Any) -> int | None:
    """Read a share, exactly, as a whole number per mille; None where it is none, or finer than that.

    A binary fraction counts as what it is written as: 17 digits tell any three places apart.
    """
    try:
        share = Decimal(str(value)) * PER_MILLE if not isinstance(value, bool) else None
    except InvalidOperation:
        share = None
    if share is None or not share.is_finite() or share != int(share):
        return None
    return int(share)


def _read_share(value: Any) -> int:
    """Read a share between 0 and 0.5 as a whole number per mille."""
    per_mille = read_per_mille(value)
    if per_mille is None or not 0 <= per_mille <= PER_MILLE // 2:
        raise PydanticCustomError(
            "share", "Input should be a share from 0 to 0.5 with up to three places, such as 0.05"
        )
    return per_mille


Share = Annotated[int, BeforeValidator(_read_share)]
"""A share of at most a half, per mille."""


def check_label(label: str) -> str:
    """Check a name that calls are attributed to: one that no call can have would count for nobody."""
    if not label or label != label.strip() or len(label) > LABEL_CHARS_MAX or not label.isprintable():
        raise PydanticCustomError(
            "label",
            "a name has 1 to {most} printable characters, and no blanks around them",
            {"most": LABEL_CHARS_MAX},
        )
    return label


def _check_agent(name: str) -> str:
    """Check an agent's name, or a tenant's agent's."""
    for label in name.split("/", 1):
        check_label(label)
    return name


Label = Annotated[str, AfterValidator(check_label)]
"""A tenant's name."""

AgentLabel = Annotated[str, AfterValidator(_check_agent)]
"""An agent's name, or `TENANT/NAME`."""


def _read_usd(value: Any) -> int:
    if isinstance(value, float):
        raise wrong("amount", f'{value!r} is a binary fraction; quote the number: "{value}"')
    try:
        nusd = nusd_from_usd(value)
    except BadAmount as error:
        raise wrong("amount", str(error)) from None
    if not 0 < nusd <= NUSD_MAX:
        raise wrong("amount", f"an amount here is more than 0 and at most {NUSD_MAX // 10**9:,} US dollars")
    return nusd


PositiveUsd = Annotated[int, BeforeValidator(_read_usd)]
"""US dollars, more than zero, as text or a whole number; read as nanodollars."""


def find_zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name.

    Raises:
        BadSetting: There is none of that name, or this machine has no time zones at all.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    # Names that lead out of the database, to a directory of it, or to none: each fails in its own way.
    except (KeyError, ValueError, OSError):
        pass
    known = available_timezones()
    if not known:
        raise BadSetting(
            'no time zones but "UTC" are installed here; install them (pip install tzdata, or the '
            "system's package tzdata)"
        )
    raise BadSetting(f"there is no such time zone; {_near_zones(name, known)}")


def _near_zones(name: str, known: set[str]) -> str:
    """Say which zones may have been meant: people write the city, or its country's capital letters."""
    shown = name[:LABEL_CHARS_MAX]
    by_lower = {zone.lower(): zone for zone in known}
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known, reverse=True)}
    city = shown.lower().replace(" ", "_").rpartition("/")[2]
    near = [by_city[each] for each in difflib.get_close_matches(city, by_city, 2, 0.8)]
    near += [by_lower[each] for each in difflib.get_close_matches(shown.lower(), by_lower, 2, 0.8)]
    if not near:
        return 'names are those of the IANA database, such as "Europe/Berlin" or "America/New_York"'
    names = " or ".join([f'"{zone}"' for zone in dict.fromkeys(near)][:2])
    return f"did you mean {names}?"
