"""The `bursar` command."""

import sys
from typing import Annotated

import typer

import bursar
from bursar.cli.alert import alert_app
from bursar.cli.anomaly import anomaly_app
from bursar.cli.audit import audit_app
from bursar.cli.batch import batch_app
from bursar.cli.budget import budget_app
from bursar.cli.config import config_app
from bursar.cli.conversation import conversation_app
from bursar.cli.demo import demo
from bursar.cli.doctor import doctor
from bursar.cli.double import double
from bursar.cli.examples import examples
from bursar.cli.key import key_app
from bursar.cli.prices import prices_app
from bursar.cli.replay import replay
from bursar.cli.report import report
from bursar.cli.route import route_app
from bursar.cli.serve import serve
from bursar.cli.stop import resume, stop
from bursar.cli.tenant import tenant_app
from bursar.errors import BursarError, CallerMistake, StoreFailed

app = typer.Typer(
    name="bursar",
    help="The cost engine for LLM agents: see where every token goes, pay less, and prove both.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"bursar {bursar.__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which Bursar this is.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """The cost engine for LLM agents: see where every token goes, pay less, and prove both."""


app.command(epilog=examples("serve"))(serve)
app.command(epilog=examples("report"))(report)
app.command(epilog=examples("replay"))(replay)
app.command(epilog=examples("doctor"))(doctor)
app.add_typer(budget_app, name="budget")
app.add_typer(alert_app, name="alert")
app.add_typer(anomaly_app, name="anomaly")
app.add_typer(key_app, name="key")
app.add_typer(audit_app, name="audit")
app.command(epilog=examples("stop"))(stop)
app.command(epilog=examples("resume"))(resume)
app.add_typer(conversation_app, name="conversation")
app.add_typer(batch_app, name="batch")
app.add_typer(tenant_app, name="tenant")
app.command(epilog=examples("demo"))(demo)
app.add_typer(route_app, name="route")
app.add_typer(prices_app, name="prices")
app.add_typer(config_app, name="config")
app.command(epilog=examples("double"))(double)


def run() -> None:
    """Run the command line: 2 is the caller's mistake, 1 a failure, and neither shows a stack trace."""
    try:
        app()
    except (CallerMistake, StoreFailed) as error:
        # A ledger that cannot be opened is for the caller to mend, like a setting.
        print(f"bursar: {error}", file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(2)
    except BursarError as error:
        print(f"bursar: {error}", file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output, `head` say, has had enough.
        sys.stderr.close()
        sys.exit(0)
