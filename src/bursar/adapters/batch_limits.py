"""What one job of a provider's batch API may hold, from the package's data file."""

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib import resources

import msgspec

from bursar.domain.jobs import JobLimits


class _Table(JobLimits, frozen=True, forbid_unknown_fields=True, kw_only=True):
    dialect: str
    source: str
    checked: date


class _File(msgspec.Struct, forbid_unknown_fields=True):
    apis: tuple[_Table, ...]


def load_batch_limits() -> Mapping[str, JobLimits]:
    """Load the limits of each API, by dialect."""
    text = (resources.files("bursar.data") / "batch_limits.toml").read_text("utf-8")
    return {table.dialect: table for table in msgspec.convert(tomllib.loads(text), type=_File).apis}
