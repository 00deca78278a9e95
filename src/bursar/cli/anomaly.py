"""`bursar anomaly`: spending that was found not to be as usual."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bursar.cli.examples import examples
from bursar.cli.operating import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    print_json,
    read_settings,
    used_directory,
)

anomaly_app = typer.Typer(
    help="Spending that was found not to be as usual.", no_args_is_help=True, rich_markup_mode="rich"
)


@anomaly_app.callback()
def anomaly() -> None:
    """Spending that was found not to be as usual."""


@anomaly_app.command("list", epilog=examples("anomaly list"))
def show_all(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was found, the latest first, with the calls that drove it."""
    settings = read_settings(config, data_dir)
    from bursar.adapters.anomalies import read_anomalies

    found = read_anomalies(used_directory(settings), limit)
    if as_json:
        print_json({"rows": [each.as_object() for each in found]})
        return
    if not found:
        typer.echo("Nothing was found that is not as usual.")
    for each in found:
        at = datetime.fromtimestamp(each.found_at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        typer.echo(f"{at}  {each.tenant}/{each.agent} {each.task}".rstrip())
        typer.echo(f"    {each.said}")
        typer.echo(f"    calls: {', '.join(each.calls) or 'none since'}")
