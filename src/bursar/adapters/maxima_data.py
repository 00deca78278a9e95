"""What each API adds at most to what a request shows, from the package's data file."""

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib import resources

import msgspec

from bursar.policy.budgets.worst_case import Maxima


class _ApiTable(Maxima, frozen=True, forbid_unknown_fields=True, kw_only=True):
    dialect: str
    source: str
    checked: date
    assumed: tuple[str, ...] = ()


class _MaximaFile(msgspec.Struct, forbid_unknown_fields=True):
    apis: tuple[_ApiTable, ...]


def load_maxima() -> Mapping[str, Maxima]:
    """Load the maxima of each API, by dialect."""
    text = (resources.files("bursar.data") / "request_maxima.toml").read_text("utf-8")
    return {table.dialect: table for table in msgspec.convert(tomllib.loads(text), type=_MaximaFile).apis}
