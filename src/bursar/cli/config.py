"""`bursar config`: whether bursar.toml is right, and what it makes of calls."""

import time
from typing import Annotated

import orjson
import typer

from bursar.cli.examples import examples
from bursar.settings import Settings, load
from bursar.settings.explaining import explain
from bursar.settings.remarks import Knowledge, Remark, remark

config_app = typer.Typer(
    help="Whether bursar.toml is right, and what is on, for whom, and why.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@config_app.callback()
def config() -> None:
    """Whether bursar.toml is right, and what is on, for whom, and why."""


@config_app.command(epilog=examples("config check"))
def check(
    file: Annotated[
        str | None,
        typer.Option(
            "--config", metavar="FILE", help="bursar.toml; without one, the defaults are explained."
        ),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Explain this tenant's calls only.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="Explain this agent's calls only; AGENT or TENANT/AGENT.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check bursar.toml, and explain what is on, for whom, and why.

    Shows what holds for everybody, and what is different for each tenant and agent that the file names, with
    the key that says so. Warns of what is probably not meant. Exits 2 where something is wrong.
    """
    settings = load(file)
    if tenant is None and agent is not None and "/" in agent:
        # As [agents."TENANT/AGENT"] names it.
        tenant, _, agent = agent.partition("/")
    chosen = tenant is not None or agent is not None
    scopes = [(tenant, agent)] if chosen else list(settings.layers.named())
    explanations = [explain(settings, *scope) for scope in scopes]
    remarks = [*remark(settings, _known(settings)), *_about_environment(settings), *_about_keys(settings)]
    # The screen is imported here: `bursar --help` should not wait for it.
    from bursar.cli.config_screen import as_object, show
    from bursar.cli.tables import console

    if as_json:
        found = as_object(file, settings, explanations, remarks)
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        show(console(), file, settings, explanations, remarks)


def _known(settings: Settings) -> Knowledge:
    """Return what is known of models now."""
    from bursar.adapters.model_limits import longest_output_tokens
    from bursar.adapters.price_data import load_price_book

    book = load_price_book(settings.prices.listings())
    now_s = time.time()
    return Knowledge(
        is_priced=lambda model: book.price(model, now_s) is not None,
        output_tokens_max=longest_output_tokens(),
    )


def _about_environment(settings: Settings) -> list[Remark]:
    """Tell of what would keep `bursar serve` from starting here."""
    from bursar.wiring.gateway import find_obstacles

    remarks: list[Remark] = []
    for obstacle in find_obstacles(settings):
        problem, _, mend = str(obstacle).removeprefix(f"{obstacle.place}: ").partition("; ")
        remarks.append(Remark(obstacle.place, f"bursar serve would not start: {problem}", mend))
    return remarks


def _about_keys(settings: Settings) -> list[Remark]:
    """Tell of what keeps out everybody, or nobody."""
    from bursar.wiring.gateway import has_keys, is_loopback

    server = settings.server
    remarks: list[Remark] = []
    if server.require_key and not has_keys(settings):
        remarks.append(
            Remark(
                "server.require_key",
                "there is no virtual key yet, so every call is refused",
                "make one: bursar key create",
            )
        )
    if server.require_key is False and has_keys(settings):
        remarks.append(
            Remark(
                "server.require_key",
                "whoever sends no virtual key is let in, as whomever they say",
                "remove it",
            )
        )
    if server.open and is_loopback(server.host):
        remarks.append(Remark("server.open", "does nothing on loopback", "remove it"))
    return remarks
