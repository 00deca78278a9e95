"""`bursar alert`: who was told of what, and whether notifiers work."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bursar.cli.examples import examples
from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    act_now,
    print_json,
    read_settings,
    used_directory,
)
from bursar.errors import CallerMistake

alert_app = typer.Typer(
    help="Who was told that budgets run out, and whether notifiers work.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_SHOWN_MAX = 50


@alert_app.callback()
def alert() -> None:
    """Who was told that budgets run out, and whether notifiers work."""


@alert_app.command("test", epilog=examples("alert test"))
def send_test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A notifier: a table [notify.NAME].")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message by a notifier, once, and say whether it was taken.

    Uses the environment of this command: the variable that url_env names must be set here, too.
    """
    settings = read_settings(config, None)
    section = settings.notify.get(name)
    if section is None:
        known = ", ".join(settings.notify) or "none"
        raise CallerMistake(
            f"NAME: no notifier {name!r} is set up; there is: {known}. Name the file that sets it up with "
            f"--config"
        )
    from bursar.policy.alerts.messages import sample_message
    from bursar.wiring.alerts import build_notifier

    rejected = build_notifier(name, section).send(sample_message(name))
    if as_json:
        reason = None if rejected is None else rejected.reason
        print_json({"notifier": name, "delivered": rejected is None, "error": reason})
    elif rejected is None:
        typer.echo(f"{name} took the message")
    else:
        typer.echo(f"bursar: {name} did not take the message: {rejected.reason}", err=True)
    if rejected is not None:
        raise typer.Exit(1)


@alert_app.command("list", epilog=examples("alert list"))
def list_(
    *,
    every: Annotated[bool, typer.Option("--all", help=f"All, not the newest {_SHOWN_MAX}.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List alerts, the newest first: what was crossed, who was told, and what became of it."""
    settings = read_settings(config, data_dir)
    from bursar.adapters.alerts.outbox import Outbox
    from bursar.cli.alert_screen import alert_object, show_alerts
    from bursar.cli.tables import console

    outbox = Outbox.open_existing(used_directory(settings))
    found = () if outbox is None else outbox.newest_of_all(None if every else _SHOWN_MAX)
    if as_json:
        print_json({"alerts": [alert_object(each) for each in found]})
    else:
        show_alerts(console(), found)


@alert_app.command(epilog=examples("alert ack"))
def ack(
    alert_id: Annotated[int, typer.Argument(metavar="ID", help="Its number in bursar alert list.")],
    *,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that somebody looks after an alert. Who has not been told of it yet is not told any more."""
    settings = read_settings(config, data_dir)
    from bursar.adapters.alerts.outbox import Outbox
    from bursar.cli.alert_screen import alert_object

    directory = Path(settings.storage.dir)
    outbox = Outbox.open_existing(directory)
    # SQLite takes no larger number for a row's.
    found = (
        None
        if outbox is None or alert_id >= 1 << 63
        else outbox.acknowledge(alert_id, act_now().by, time.time())
    )
    if found is None:
        raise CallerMistake(
            f"ID: there is no alert {alert_id} in {directory}; bursar alert list shows those that there are"
        )
    acknowledged, is_first = found
    if as_json:
        print_json({**alert_object(acknowledged), "changed": is_first})
    else:
        done = "is acknowledged" if is_first else "was acknowledged already"
        typer.echo(f"alert {alert_id} ({acknowledged.scope}) {done}")
