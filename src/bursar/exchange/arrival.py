"""A call as it came in, and whom its headers attribute it to."""

from collections.abc import Mapping

import msgspec

from bursar.domain.attribution import DEFAULT, ERASED, LABEL_CHARS_MAX, Attribution
from bursar.domain.prompt import digest
from bursar.errors import BadRequest
from bursar.exchange.headers import PREFIX
from bursar.policy.keys.ring import Grant

MODES = ("observe", "optimise", "passthrough")

_TAGS_MAX = 20


class Arrival(msgspec.Struct, frozen=True):
    """One request of a client.

    Attributes:
        operation_id: Names the call everywhere.
        at_s: When it arrived.
        dialect: Name of the dialect it is written in.
        upstream: Name of the provider section that it is for.
        path: Path and query below that provider's base URL.
        headers: The client's headers, names in lower case.
        outgoing: Those for the provider.
        body: Its body.
        credential: Digest that names the provider account it is billed to.
        grant: What the virtual key allows that it came with; None where it came with none.
    """

    operation_id: str
    at_s: float
    dialect: str
    upstream: str
    path: str
    headers: Mapping[str, str]
    outgoing: Mapping[str, str]
    body: bytes
    credential: bytes
    grant: Grant | None = None


def attribute(headers: Mapping[str, str], user: str, key_id: str = "") -> Attribution:
    """Read whom a call is for.

    Args:
        headers: The client's, names in lower case.
        user: The dialect's own field for the end user.
        key_id: Id of the virtual key that it came with; empty for none.

    Raises:
        BadRequest: A label is too long or not printable, or the tenant's is reserved, or tags are not
            `name=value`.
    """
    tenant = _label(headers, "tenant") or DEFAULT
    if tenant == ERASED:
        raise BadRequest(
            f"{ERASED} stands for tenants that were erased; use another name", place=f"{PREFIX}tenant"
        )
    return Attribution(
        tenant=tenant,
        agent=_label(headers, "agent") or DEFAULT,
        task=_label(headers, "task"),
        conversation=_label(headers, "conversation"),
        user=_label(headers, "user") or user[:LABEL_CHARS_MAX],
        tags=_tags(headers),
        key=key_id,
    )


def chosen_mode(headers: Mapping[str, str], default: str) -> str:
    """Return the mode of a call: its own by header, else the operator's.

    Raises:
        BadRequest: The header names no mode.
    """
    mode = headers.get(f"{PREFIX}mode")
    if mode is None:
        return default
    if mode not in MODES:
        raise BadRequest(f"{mode[:40]!r} is no mode; use one of {', '.join(MODES)}", place=f"{PREFIX}mode")
    return mode


def asks_mode(headers: Mapping[str, str]) -> bool:
    """Whether a call states a mode of its own."""
    return f"{PREFIX}mode" in headers


def says_complex(headers: Mapping[str, str]) -> bool:
    """Whether a call says that it is harder than its task.

    Raises:
        BadRequest: Its header says something else.
    """
    value = headers.get(f"{PREFIX}complexity")
    if value is None:
        return False
    if value != "high":
        raise BadRequest(
            f'{value[:40]!r} is unknown; say "high", or leave it out', place=f"{PREFIX}complexity"
        )
    return True


def is_held_out(attribution: Attribution, per_mille: int) -> bool:
    """Whether a conversation is one of those that are left as they came: always, or never.

    Args:
        attribution: Whose it is, and its name.
        per_mille: Share of conversations that are.
    """
    name = f"{attribution.tenant}\0{attribution.conversation}".encode("utf-8", "surrogatepass")
    return int.from_bytes(digest(name)[:8]) % 1_000 < per_mille


def _label(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(PREFIX + name)
    if value is None:
        return ""
    value = as_written(value)
    if len(value) > LABEL_CHARS_MAX:
        raise BadRequest(f"longer than {LABEL_CHARS_MAX} characters", place=PREFIX + name)
    if not value.isprintable():
        raise BadRequest("holds characters that cannot be printed", place=PREFIX + name)
    return value.strip()


def as_written(value: str) -> str:
    """Return a header's value as UTF-8 where it is that: headers arrive as Latin-1, byte by byte."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _tags(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    text = as_written(headers.get(f"{PREFIX}tags", ""))
    if not text:
        return ()
    tags: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or len(part) > LABEL_CHARS_MAX or not part.isprintable():
            raise BadRequest('write tags as "team=support,env=prod"', place=f"{PREFIX}tags")
        tags[name] = value
    if len(tags) > _TAGS_MAX:
        raise BadRequest(f"more than {_TAGS_MAX} tags", place=f"{PREFIX}tags")
    return tuple(sorted(tags.items()))
