"""What operators say of a virtual key, as text, read into what it allows."""

import difflib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import PydanticCustomError

from bursar.domain.attribution import ERASED
from bursar.domain.keys import Rights, Role, holds_key
from bursar.errors import BadSetting
from bursar.settings.values import check_label

ANY = "*"
"""Stands for any tenant or agent, as it does in scopes."""

_PATTERNS_MAX = 100

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN_S_MAX = 100 * 366 * 86_400


def read_rights(said: Mapping[str, str], expires_at_s: float | None, *, prefix: str = "") -> Rights:
    """Read what a key is to allow.

    Args:
        said: `role`, `tenant`, `agent`, `models` and `tasks`; the last two are lists with commas between.
            What is not said is `agent` for the role and otherwise anything, but a tenant always has to be.
        expires_at_s: When it ends; None: never.
        prefix: What stands before a name where it was said, such as `--`.

    Raises:
        BadSetting: Something is no role, name or pattern, or contradicts the rest.
    """
    role = _read_role(said.get("role", Role.AGENT.value), f"{prefix}role")
    if "tenant" not in said:
        raise BadSetting(
            f'is missing; name the tenant that the key is for, or "{ANY}"', place=f"{prefix}tenant"
        )
    tenant = _read_name(said["tenant"], f"{prefix}tenant")
    if tenant == ERASED:
        raise BadSetting("stands for tenants that were erased; use another name", place=f"{prefix}tenant")
    agent = _read_name(said.get("agent", ANY), f"{prefix}agent")
    if role is Role.ADMIN and agent is not None:
        raise BadSetting(
            "a key of role admin is for all agents of its tenant; leave it out", place=f"{prefix}agent"
        )
    models, tasks = (_read_patterns(said.get(name, ""), f"{prefix}{name}") for name in ("models", "tasks"))
    if role is Role.READER and (models or tasks):
        raise BadSetting(
            "a key of role reader makes no calls; leave it out",
            place=f"{prefix}{'models' if models else 'tasks'}",
        )
    return Rights(role, tenant, agent, models, tasks, expires_at_s)


def _read_role(text: str, place: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        known = [role.value for role in Role]
        near = difflib.get_close_matches(text, known, 1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        raise BadSetting(f"there is no such role; {hint}roles are {', '.join(known)}", place=place) from None


def _read_name(text: str, place: str) -> str | None:
    if text == ANY:
        return None
    try:
        return check_label(text)
    except PydanticCustomError as error:
        raise BadSetting(error.message(), place=place) from None


def _read_patterns(text: str, place: str) -> tuple[str, ...]:
    patterns = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if text and not patterns:
        raise BadSetting("names nothing; leave it out to allow all", place=place)
    if len(patterns) > _PATTERNS_MAX:
        raise BadSetting(f"takes at most {_PATTERNS_MAX} patterns", place=place)
    for pattern in patterns:
        if holds_key(pattern):
            raise BadSetting("holds a key; name models or tasks", place=place)
        _read_name(pattern, place)
    return () if ANY in patterns else patterns


def read_end(text: str, now_s: float, place: str) -> float:
    """Read when a key ends, in seconds since the epoch: a span from now, or a date.

    Raises:
        BadSetting: It is neither, or has passed.
    """
    span_s = _read_span(text)
    at_s = _moment_s(text) if span_s is None else now_s + span_s
    if at_s is None:
        raise BadSetting("write a span (90d, 12h, 30m, 4w) or a date (2027-01-31)", place=place)
    if at_s <= now_s:
        raise BadSetting("has passed; write a moment to come", place=place)
    return at_s


def read_overlap(text: str, place: str) -> float:
    """Read for how long the former of two keys is still taken, in seconds.

    Raises:
        BadSetting: It is no span.
    """
    overlap_s = 0.0 if text.strip() == "0" else _read_span(text)
    if overlap_s is None:
        raise BadSetting("write a span such as 24h, 30m or 7d, or 0", place=place)
    return overlap_s


def _read_span(text: str) -> float | None:
    span = _SPAN.fullmatch(text.strip())
    seconds = math.inf if span is None else int(span[1]) * _UNIT_S[span[2]]
    return float(seconds) if seconds <= _SPAN_S_MAX else None


def _moment_s(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
