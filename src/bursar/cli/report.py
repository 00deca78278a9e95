"""`bursar report`: what calls cost and saved, by whatever they are attributed to."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.cli.holdout_screen import show_holdout
from bursar.cli.tables import console, show
from bursar.domain.report import Report, ReportKey
from bursar.errors import CallerMistake, StoreFailed

_ROWS_SHOWN = 40
_SPAN = re.compile(r"(\d{1,6})\s*([mhdw])", re.ASCII)
_UNIT_S = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_END_S = 253_402_300_800  # The year 10000, which no calendar of Python's holds.
_KEYS = ", ".join(key.value for key in ReportKey)


def report(
    *,
    by: Annotated[str, typer.Option(help=f"Keys to group by, with commas between: {_KEYS}.")] = "",
    since: Annotated[
        str,
        typer.Option(help="Calls from then on: 2026-11-01, 2026-11-01T09:30Z, 24h, 7d. UTC unless it says."),
    ] = "",
    until: Annotated[str, typer.Option(help="Calls before then; as for --since.")] = "",
    data_dir: Annotated[Path, typer.Option(help="The directory that bursar serve keeps its data in.")] = Path(
        "bursar-data"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, amounts with nine places.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"Rows at most. Without it all as JSON, else {_ROWS_SHOWN}.")
    ] = None,
) -> None:
    """Show what calls cost, what they would have cost as sent, and what saved the difference.

    Where conversations were held out, they are compared with the others. Reads the ledger beside a running
    server.
    """
    keys = read_keys(by)
    now_s = time.time()
    since_s = read_time(since, now_s, option="--since")
    until_s = read_time(until, now_s, option="--until")
    if since_s is not None and until_s is not None and since_s >= until_s:
        raise CallerMistake(f'--since: "{since}" is not before --until "{until}"')
    rows_max = limit if limit is not None or as_json else _ROWS_SHOWN
    try:
        found = LedgerReader.open(data_dir).report(keys, since_s=since_s, until_s=until_s, limit=rows_max)
    except StoreFailed as error:
        # Which file is read is the caller's choice, so a file that cannot be read is the caller's to mend.
        raise CallerMistake(str(error)) from error
    if as_json:
        typer.echo(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2))
    else:
        _show(found, since_s, until_s)


def read_keys(text: str) -> tuple[ReportKey, ...]:
    """Read keys with commas between; each counts once.

    Raises:
        CallerMistake: One of them is none.
    """
    names = dict.fromkeys(name for part in text.split(",") if (name := part.strip().lower()))
    return tuple(_key(name) for name in names)


def read_time(text: str, now_s: float, *, option: str) -> float | None:
    """Read a moment.

    Args:
        text: A date, a date and time (both UTC unless they name another zone), or a span back from now
            such as `90m`, `24h`, `7d`, `2w`. Empty for no moment.
        now_s: The time now, in seconds since the epoch.
        option: Which option it is, for the message.

    Raises:
        CallerMistake: It is none of these.
    """
    written = text.strip()
    if not written:
        return None
    span = _SPAN.fullmatch(written)
    at_s = now_s - int(span[1]) * _UNIT_S[span[2]] if span is not None else _moment(written)
    if at_s is None or not 0 <= at_s < _END_S:
        raise CallerMistake(
            f'{option}: "{text}" is no time since 1970; write a date (2026-11-01), a date and time '
            f"(2026-11-01T09:30Z), or a span back from now (90m, 24h, 7d, 2w)"
        )
    return at_s


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _key(name: str) -> ReportKey:
    try:
        return ReportKey(name)
    except ValueError:
        near: Sequence[str] = get_close_matches(name, [key.value for key in ReportKey], n=1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        raise CallerMistake(f'--by: "{name}" is no key; {hint}Keys are {_KEYS}') from None


def _show(found: Report, since_s: float | None, until_s: float | None) -> None:
    screen = console()
    bounds = [
        f"{word} {_utc(at_s)}" for word, at_s in (("from", since_s), ("to", until_s)) if at_s is not None
    ]
    if bounds:
        screen.print(f"Calls {' '.join(bounds)}", style="dim")
    if found.total.calls:
        show(screen, found)
        show_holdout(screen, found.holdout)
    else:
        screen.print("No calls." if bounds else "No calls yet.")


def _utc(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"
