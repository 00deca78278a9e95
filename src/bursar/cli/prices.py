"""`bursar prices`: what tokens cost, since when, and whether the numbers can be right."""

import difflib
import fnmatch
from datetime import UTC, date, datetime, time
from typing import Annotated

import orjson
import typer
from rich.console import Console

from bursar.adapters.price_data import (
    load_amended_listings,
    load_norms,
    load_own_listings,
    load_price_book,
)
from bursar.cli.examples import examples
from bursar.cli.price_tables import finding_rows, price_object, render_findings, render_prices
from bursar.domain.price_book import PriceBook
from bursar.domain.price_lint import Severity, lint
from bursar.domain.prices import Price
from bursar.errors import CallerMistake
from bursar.settings import load

prices_app = typer.Typer(
    help="What tokens cost, since when, and whether the numbers can be right.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="bursar.toml with prices of your own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON; amounts are decimal text.")]


@prices_app.command(epilog=examples("prices show"))
def show(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help='Ids, other names, or patterns such as "claude-*".'),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="Prices in force on that day (UTC).")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the prices in force on a day, in USD per million tokens."""
    book = load_price_book(load(config).prices.listings())
    day = datetime.now(UTC).date() if at is None else _read_day(at)
    at_s = datetime.combine(day, time(), UTC).timestamp()
    found: dict[str, Price] = {}
    for model in _expand(book, models or ["*"]):
        price = book.price(model, at_s)
        if price is not None:
            found[model] = price
        elif models and model in models:
            raise CallerMistake(_explain_missing(book, model, day))
    if as_json:
        rows = [price_object(model, price, book.listings(model), day) for model, price in found.items()]
        _print_json({"at": day.isoformat(), "prices": rows})
    else:
        render_prices(Console(), book, found, day, detailed=bool(models))


@prices_app.command(epilog=examples("prices check"))
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look for prices that are probably wrong; exit 1 if some certainly are."""
    norms = load_norms()
    layers = (load(config).prices.listings(), load_own_listings(), load_amended_listings())
    findings = [finding for layer in layers for finding in lint(layer, norms)]
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        checked = sum(len(layer) for layer in layers)
        _print_json({"models": checked, "errors": errors, "findings": finding_rows(findings)})
    else:
        render_findings(Console(), findings, layers)
    if errors:
        raise typer.Exit(1)


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CallerMistake(f'--at: "{text}" is no day; write it as 2026-11-01') from None


def _expand(book: PriceBook, models: list[str]) -> list[str]:
    """Resolve patterns to the ids that they fit; a name stays as it was written."""
    ids = book.models()
    expanded: dict[str, None] = {}
    for model in models:
        if any(wild in model for wild in "*?["):
            matches = fnmatch.filter(ids, model)
            if not matches:
                raise CallerMistake(f'no model fits "{model}"; `bursar prices show` lists them all')
            expanded.update(dict.fromkeys(matches))
        else:
            expanded[model] = None
    return list(expanded)


def _explain_missing(book: PriceBook, model: str, day: date) -> str:
    starts = [
        price.starts
        for listing in book.listings(model)
        for price in listing.prices
        if price.starts is not None
    ]
    if starts:
        return f'the price of "{model}" starts on {min(starts)}, after {day}; ask for a later --at'
    near = difflib.get_close_matches(model.lower(), book.names(), 3, 0.6)
    mend = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f'add [prices."{model}"] to bursar.toml and give it with --config'
    )
    return f'no price is known for model "{model}"; {mend}'


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
