"""What operators say of a virtual key, as text, read into what it allows."""

import difflib
from collections.abc import Mapping

from pydantic_core import PydanticCustomError

from bursar.domain.keys import Rights, Role, holds_key
from bursar.errors import BadSetting
from bursar.settings.values import check_label

ANY = "*"
"""Stands for any tenant or agent, as it does in scopes."""

_PATTERNS_MAX = 100


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
