"""`bursar key`: virtual keys, and what they allow."""

import math
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli.budget_flags import (
    LimitTokensOption,
    LimitTurnsOption,
    LimitUsdOption,
    WindowOption,
    read_budgets,
)
from bursar.cli.examples import examples
from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    act_now,
    open_admin,
    print_json,
    read_settings,
)
from bursar.errors import BadSetting, CallerMistake

if TYPE_CHECKING:
    from bursar.domain.admin import AdminState
    from bursar.domain.budgets import Budget
    from bursar.domain.keys import VirtualKey

key_app = typer.Typer(
    help="Virtual keys: who may call, as whom, and for what.", no_args_is_help=True, rich_markup_mode="rich"
)

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN_S_MAX = 100 * 366 * 86_400
_SHOWN_CHARS_MAX = 60

_IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as bursar key list names it.")]


@key_app.callback()
def key() -> None:
    """Virtual keys: who may call, as whom, and for what."""


@key_app.command(epilog=examples("key create"))
def create(
    *,
    tenant: Annotated[str, typer.Option(help="The tenant that it is for; * for whichever the caller names.")],
    agent: Annotated[str | None, typer.Option(help="The only agent that it is for.")] = None,
    role: Annotated[str, typer.Option(help="agent: calls; reader: sees budgets; admin: both and more.")] = (
        "agent"
    ),
    models: Annotated[
        str | None, typer.Option(help='Only these, such as "claude-haiku-*,gpt-6-mini".')
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Only these, as x-bursar-task names them.")] = None,
    limit_usd: LimitUsdOption = None,
    limit_tokens: LimitTokensOption = None,
    limit_turns: LimitTurnsOption = None,
    window: WindowOption = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: 90d, 12h, 2027-01-31 (UTC).")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once, here: only its hash is kept.

    A running server takes it up within about two seconds. From the first key on, calls without one are
    refused, unless bursar.toml says otherwise ([server] require_key).
    """
    settings = read_settings(config, data_dir)
    from bursar.adapters.key_secrets import new_key, new_key_id
    from bursar.domain.keys import Secret, VirtualKey, digest_of
    from bursar.policy.keys.ring import key_item
    from bursar.settings.keys import read_rights
    from bursar.settings.stored import budget_item

    act = act_now()
    said = {"tenant": tenant, "agent": agent, "role": role, "models": models, "tasks": tasks}
    rights = read_rights(
        {name: text for name, text in said.items() if text is not None},
        None if expires is None else _read_end(expires, act.at_s),
        prefix="--",
    )
    key_id, secret = new_key_id(), new_key()
    limited = {"limit_usd": limit_usd, "limit_tokens": limit_tokens, "limit_turns": limit_turns}
    limits: Sequence[Budget] = ()
    if any(text is not None for text in (*limited.values(), window)):
        limits = read_budgets({"scope": f"key:{key_id}", **limited, "window": window}, None)
    if limits and rights.role.value == "admin":
        raise BadSetting("who raises others' limits is held by none; leave limits out", place="--role admin")
    made = VirtualKey(key_id, rights, (Secret(digest_of(secret)),), act.at_s, act.by)
    admin = open_admin(settings)
    # A key never counts before its limits do.
    for limit in limits:
        admin.put(budget_item(limit, act))
    admin.put(key_item(made, act.by, act.at_s))
    _tell_secret(made, secret, limits, "made", as_json=as_json)


@key_app.command("list", epilog=examples("key list"))
def list_(
    *, config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List all keys that were ever made; none of them can be shown again."""
    settings = read_settings(config, data_dir)
    from pathlib import Path

    from bursar.adapters.admin.sqlite import SqliteAdmin
    from bursar.cli.key_screen import key_object, limits_of, show_keys
    from bursar.cli.tables import console
    from bursar.policy.keys.ring import read_keys
    from bursar.settings.budgets import budgets_of
    from bursar.settings.stored import in_force

    admin = SqliteAdmin.open_existing(Path(settings.storage.dir))
    state = None if admin is None else admin.read()
    budgets = in_force(budgets_of(settings.budgets), state).budgets
    now_s = time.time()
    rows: dict[str, Any] = {}
    for each in sorted(() if state is None else read_keys(state), key=lambda key: key.created_at_s):
        limits = limits_of(each.id, budgets)
        rows[each.id] = (key_object(each, limits, now_s), limits)
    if as_json:
        print_json({"rows": [row for row, _ in rows.values()]})
    else:
        show_keys(console(), rows)


@key_app.command(epilog=examples("key rotate"))
def rotate(
    key_id: _IdArgument,
    *,
    overlap: Annotated[
        str, typer.Option(help="How long the former is still taken; 0 ends it at once.")
    ] = "24h",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new secret in the place of a key's former one. Its id, rights, limits and spending stay.

    The new one is shown once, here. Where the former has leaked: --overlap 0.
    """
    settings = read_settings(config, data_dir)
    from bursar.adapters.key_secrets import new_key
    from bursar.cli.key_screen import limits_of
    from bursar.domain.keys import digest_of
    from bursar.policy.keys.ring import key_item
    from bursar.settings.stored import stored_budgets

    overlap_s = 0.0 if overlap.strip() == "0" else _read_span(overlap)
    if overlap_s is None:
        raise BadSetting("write a span such as 24h, 30m or 7d, or 0", place="--overlap")
    admin, act = open_admin(settings), act_now()
    state = admin.read()
    found = _find(state, key_id)
    expires_at_s = found.rights.expires_at_s
    if found.revoked_at_s is not None or (expires_at_s is not None and expires_at_s <= act.at_s):
        raise CallerMistake(f"ID: {key_id} is revoked or expired; bursar key create makes another")
    secret = new_key()
    rotated = found.rotated(digest_of(secret), act.at_s, overlap_s)
    admin.put(key_item(rotated, act.by, act.at_s))
    _tell_secret(rotated, secret, limits_of(key_id, stored_budgets(state)), "rotated", as_json=as_json)


@key_app.command(epilog=examples("key revoke"))
def revoke(
    key_id: _IdArgument,
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key for good. A running server refuses it within about two seconds; calls under way go on."""
    settings = read_settings(config, data_dir)
    from bursar.policy.keys.ring import key_item

    admin, act = open_admin(settings), act_now()
    found = _find(admin.read(), key_id)
    changed = found.revoked_at_s is None
    if changed:
        admin.put(key_item(found.revoked(act.at_s), act.by, act.at_s))
    if as_json:
        print_json({"id": key_id, "revoked": True, "changed": changed})
    else:
        typer.echo(f"{key_id} {'is' if changed else 'was already'} revoked")


def _find(state: "AdminState", key_id: str) -> "VirtualKey":
    from bursar.domain.admin import ItemKind
    from bursar.domain.keys import holds_key
    from bursar.policy.keys.ring import read_key

    item = state.items.get(ItemKind.KEY, {}).get(key_id)
    if item is None:
        shown = "that (a key, it seems)" if holds_key(key_id) else repr(key_id[:_SHOWN_CHARS_MAX])
        raise CallerMistake(f"ID: no key has the id {shown}; bursar key list names them")
    return read_key(item)


def _tell_secret(
    made: "VirtualKey", secret: str, limits: "Sequence[Budget]", done: str, *, as_json: bool
) -> None:
    """Show a key for the only time: alone on standard output, so that a script can take it from there."""
    from bursar.cli.key_screen import key_object

    shown = key_object(made, limits, made.created_at_s)
    if as_json:
        print_json({"id": made.id, "key": secret, **shown})
        return
    typer.echo(secret)
    typer.echo(
        f"bursar: {done}: {made.id}, role {shown['role']}, tenant {shown['tenant']}, agent {shown['agent']}. "
        f"Keep the key now: it is not shown again.",
        err=True,
    )


def _read_end(text: str, now_s: float) -> float:
    """Read when a key ends.

    Raises:
        BadSetting: It is no moment, or one that has passed.
    """
    span_s = _read_span(text)
    at_s = _moment_s(text) if span_s is None else now_s + span_s
    if at_s is None:
        raise BadSetting("write a span (90d, 12h, 30m, 4w) or a date (2027-01-31)", place="--expires")
    if at_s <= now_s:
        raise BadSetting("has passed; write a moment to come", place="--expires")
    return at_s


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
