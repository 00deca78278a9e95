"""How prices and findings about them look, on the terminal and as JSON."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bursar.domain.money import usd_text
from bursar.domain.price_book import Listing, PriceBook
from bursar.domain.price_lint import Finding, Severity
from bursar.domain.prices import PER_MILLE, STANDARD, Price, PriceStep, Rates
from bursar.domain.usage import TokenClass

_SHORT_WRITES = (TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_30M)
_LONG_WRITES = (TokenClass.CACHE_WRITE_1H, TokenClass.CACHE_WRITE_12H)


def price_object(model: str, price: Price, listings: Sequence[Listing], day: date) -> dict[str, object]:
    """Return a price as JSON: USD per million tokens and per 1,000 tool requests, as decimal text."""
    upcoming = _upcoming(listings, day)
    return {
        "model": model,
        "priced_as": price.model,
        "from": price.starts and price.starts.isoformat(),
        "changes_on": upcoming and upcoming.isoformat(),
        "usd_per_million_tokens": _rates_object(price.rates),
        "steps": _steps_object(price.steps),
        "tiers": {tier: _factor(per_mille) for tier, per_mille in price.tier_per_mille.items()},
        "tariffs": {
            tier: {
                "usd_per_million_tokens": _rates_object(tariff.rates),
                "steps": _steps_object(tariff.steps),
            }
            for tier, tariff in price.tariffs.items()
        },
        "geos": {geo: _factor(per_mille) for geo, per_mille in price.geo_per_mille.items()},
        "usd_per_thousand_requests": {tool.value: usd_text(fee) for tool, fee in price.tool_fees.items()},
        "source": price.source,
        "checked": price.checked and price.checked.isoformat(),
    }


def render_prices(
    console: Console, book: PriceBook, prices: Mapping[str, Price], day: date, *, detailed: bool
) -> None:
    """Print a table of prices and, where models were asked for by name, what else belongs to each."""
    table = Table(
        title=f"USD per million tokens on {day} (UTC)",
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    table.add_column("model", no_wrap=True, overflow="ellipsis")
    for name in ("input", "output", "cache read", "write", "long write"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("since", no_wrap=True)
    for model, price in prices.items():
        since = "" if price.starts is None else price.starts.isoformat()
        table.add_row(escape(model), *_cells(price.rates), since)
        _add_steps(table, price.steps)
        if detailed:
            for tier, tariff in price.tariffs.items():
                table.add_row(f"  [dim]tier {escape(tier)}[/dim]", *_cells(tariff.rates), "")
                _add_steps(table, tariff.steps)
    console.print(table)
    if detailed:
        for model, price in prices.items():
            _render_details(console, model, price, _upcoming(book.listings(model), day))
    else:
        console.print("[dim]write: 5 or 30 minutes; long write: 1 or 12 hours. More: prices show MODEL[/dim]")


def finding_rows(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Return findings as JSON."""
    return [
        {
            "model": finding.model,
            "place": finding.place,
            "severity": finding.severity.value,
            "problem": finding.problem,
            "mend": finding.mend,
        }
        for finding in findings
    ]


def render_findings(
    console: Console, findings: Sequence[Finding], layers: Sequence[Sequence[Listing]]
) -> None:
    """Print what is wrong, or that nothing is."""
    for finding in findings:
        colour = "red" if finding.severity is Severity.ERROR else "yellow"
        where = f"[bold]{escape(finding.model)}[/bold] {escape(finding.place)}"
        console.print(f"[{colour}]{finding.severity}[/{colour}] {where}", highlight=False)
        console.print(f"  {escape(finding.problem)}; {escape(finding.mend)}", highlight=False)
    operator, own, public = (len(layer) for layer in layers)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    console.print(
        f"{operator + own + public} models checked ({operator} of yours, {own} of ours, {public} public); "
        f"errors: {errors}, warnings: {len(findings) - errors}",
        highlight=False,
    )


def _add_steps(table: Table, steps: Sequence[PriceStep]) -> None:
    for step in steps:
        table.add_row(f"  [dim]prompt > {step.above_tokens:,}[/dim]", *_cells(step.rates), "")


def _render_details(console: Console, model: str, price: Price, upcoming: date | None) -> None:
    facts: list[str] = []
    if price.model.lower() != model.lower():
        facts.append(f"priced as {price.model}")
    factors = [f"{tier} {_factor(f)}x" for tier, f in price.tier_per_mille.items() if tier != STANDARD]
    factors += [f"{tier} (see its rates)" for tier in price.tariffs]
    if factors:
        facts.append("tiers: " + ", ".join(factors))
    geos = [f"{geo} {_factor(f)}x" for geo, f in price.geo_per_mille.items() if f != PER_MILLE]
    if geos:
        facts.append("inference in: " + ", ".join(geos))
    fees = [f"{tool.value} {_usd(fee)}" for tool, fee in price.tool_fees.items()]
    if fees:
        facts.append("USD per 1,000 requests: " + ", ".join(fees))
    if upcoming is not None:
        facts.append(f"changes on {upcoming}")
    facts.append(f"source: {price.source}" + (f" (checked {price.checked})" if price.checked else ""))
    console.print(f"\n[bold]{escape(model)}[/bold]")
    for fact in facts:
        console.print(f"  {escape(fact)}", highlight=False)


def _upcoming(listings: Sequence[Listing], day: date) -> date | None:
    """Return the next day on which the price changes, as far as it is known."""
    days = [price.starts for listing in listings for price in listing.prices if price.starts is not None]
    return min((starts for starts in days if starts > day), default=None)


def _cells(rates: Rates) -> tuple[str, ...]:
    return (
        _cell(rates, (TokenClass.INPUT,)),
        _cell(rates, (TokenClass.OUTPUT,)),
        _cell(rates, (TokenClass.CACHE_READ,)),
        _cell(rates, _SHORT_WRITES),
        _cell(rates, _LONG_WRITES),
    )


def _cell(rates: Rates, token_classes: tuple[TokenClass, ...]) -> str:
    known = dict.fromkeys(_usd(rates[c]) for c in token_classes if c in rates)
    return " / ".join(known) or "-"


def _rates_object(rates: Rates) -> dict[str, str]:
    return {c.value: usd_text(rates[c]) for c in TokenClass if c in rates}


def _steps_object(steps: Sequence[PriceStep]) -> list[dict[str, object]]:
    return [
        {"above_tokens": step.above_tokens, "usd_per_million_tokens": _rates_object(step.rates)}
        for step in steps
    ]


def _usd(nusd: int) -> str:
    """Write an amount with at least two places and no idle zeros behind them."""
    whole, _, places = usd_text(nusd).partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _factor(per_mille: int) -> str:
    whole, thousandths = divmod(per_mille, PER_MILLE)
    return f"{whole}.{thousandths:03d}".rstrip("0").rstrip(".")
