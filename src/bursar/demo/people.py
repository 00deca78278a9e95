"""Names, places and days that the demo's customers draw from."""

from random import Random

from bursar.demo.scripts import Json

CITIES: tuple[Json, ...] = (
    {"airport": "HAM", "city": "Hamburg", "country": "DE"},
    {"airport": "LIS", "city": "Lisbon", "country": "PT"},
    {"airport": "CPH", "city": "Copenhagen", "country": "DK"},
    {"airport": "VIE", "city": "Vienna", "country": "AT"},
    {"airport": "EDI", "city": "Edinburgh", "country": "GB"},
    {"airport": "ATH", "city": "Athens", "country": "GR"},
)

_FIRST = (
    "Ada",
    "Bram",
    "Chiara",
    "Dinesh",
    "Elif",
    "Femi",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaya",
    "Lucía",
)
_LAST = (
    "Adeyemi",
    "Berg",
    "Costa",
    "Demir",
    "Eriksen",
    "Fischer",
    "Iyer",
    "Keller",
    "Moreau",
    "Novak",
    "Silva",
)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def person(draw: Random) -> str:
    """Return a name."""
    return f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"


def reference(draw: Random, length: int = 6) -> str:
    """Return a reference of letters and digits that are not mistaken for one another."""
    return "".join(draw.choices(_LETTERS, k=length))


def day(draw: Random) -> str:
    """Return a day of December 2026."""
    return f"2026-12-{draw.randint(1, 28):02d}"
