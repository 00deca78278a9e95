"""What is on, for whom, and why: on the terminal and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bursar.cli.tables import titled_table
from bursar.settings import Settings
from bursar.settings.budget_meanings import ladder_meaning, limit_meaning
from bursar.settings.explaining import Explanation, State, TechniqueInForce
from bursar.settings.remarks import Remark

_STYLES: dict[State, str] = {"on": "green", "watched": "cyan", "off": "dim"}

_MODES = {
    "optimise": "calls are changed where that pays",
    "observe": "calls pass untouched; what would have been saved is booked",
    "passthrough": "calls pass untouched, and are only metered",
}


def as_object(
    file: str | None, settings: Settings, explanations: Sequence[Explanation], remarks: Sequence[Remark]
) -> dict[str, Any]:
    """Return what was found as `--json` gives it."""
    return {
        "file": file,
        "mode": settings.mode,
        "holdout": _share(settings.holdout),
        "scopes": [
            {
                "tenant": explanation.tenant,
                "agent": explanation.agent,
                "techniques": [_technique_object(technique) for technique in explanation.techniques],
            }
            for explanation in explanations
        ],
        "budgets": [
            {
                "scope": entry.scope,
                "limit": limit_meaning(budget),
                "ladder": ladder_meaning(budget),
                "from": f"budgets.{number}",
            }
            for number, entry in enumerate(settings.budgets)
            for budget in entry.budgets()
        ],
        "warnings": [{"place": r.place, "problem": r.problem, "mend": r.mend} for r in remarks],
    }


def _technique_object(technique: TechniqueInForce) -> dict[str, Any]:
    return {
        "technique": technique.technique.value,
        "state": technique.state,
        "meaning": technique.meaning,
        "settings": [{"key": v.key, "value": v.value, "from": v.place} for v in technique.values],
    }


def show(
    screen: Console,
    file: str | None,
    settings: Settings,
    explanations: Sequence[Explanation],
    remarks: Sequence[Remark],
) -> None:
    """Print what was found."""
    told = Text(f'mode "{settings.mode}": {_MODES[settings.mode]}')
    if settings.holdout:
        told.append(f"; holdout {_share(settings.holdout)} of conversations, left as they came")
    screen.print(Text("No file: the defaults hold." if file is None else f"{file} is right.", style="bold"))
    screen.print(told)
    screen.print()
    first = explanations[0]
    for explanation in explanations:
        shown = explanation.techniques
        if explanation is not first:
            # Of everybody else, only what differs from the first.
            shown = [
                technique
                for technique, general in zip(shown, first.techniques, strict=True)
                if technique != general
            ]
        if shown:
            screen.print(_table(_title(explanation), shown))
        else:
            screen.print(Text(f"{_title(explanation)}: as everybody", style="bold"))
        screen.print()
    if len(explanations) > 1:
        screen.print("What is not listed for a tenant or an agent is as for everybody.", style="dim")
        screen.print(
            "What is said of an agent goes before what is said of its tenant, key by key; "
            "--tenant T --agent A explains both together.",
            style="dim",
        )
        screen.print()
    if settings.budgets:
        screen.print(_budget_table(settings))
        screen.print()
    for remark in remarks:
        _show_remark(screen, remark)
    count = "no warnings" if not remarks else f"warnings: {len(remarks)}"
    screen.print(count, style="green" if not remarks else "yellow")


def _table(title: str, techniques: Sequence[TechniqueInForce]) -> Table:
    table = titled_table(Text(title))
    table.add_column("technique", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what it does", overflow="fold", ratio=3)
    table.add_column("said by", overflow="fold", ratio=2)
    for technique in techniques:
        places = "\n".join(value.place or "" for value in technique.said)
        table.add_row(
            technique.technique.value.replace("_", " "),
            Text(technique.state, style=_STYLES[technique.state]),
            Text(_printable(technique.meaning)),
            Text(_printable(places, keep="\n") or "default", style="" if places else "dim"),
        )
    return table


def _budget_table(settings: Settings) -> Table:
    table = titled_table(Text("Budgets"))
    for column in ("scope", "at most", "on the way there"):
        table.add_column(column, overflow="fold")
    for entry in settings.budgets:
        for budget in entry.budgets():
            cells = (entry.scope, limit_meaning(budget), ladder_meaning(budget))
            table.add_row(*(Text(_printable(cell)) for cell in cells))
    return table


def _title(explanation: Explanation) -> str:
    tenant, agent = explanation.tenant, explanation.agent
    if tenant is None and agent is None:
        return "Everybody"
    if agent is None:
        return f"Tenant {_printable(tenant or '')}"
    if tenant is None:
        return f"Agent {_printable(agent)}"
    return f"Agent {_printable(agent)} of tenant {_printable(tenant)}"


def _show_remark(screen: Console, remark: Remark) -> None:
    text = Text.assemble(("warning ", "yellow"), (_printable(remark.place), "bold"), ": ")
    text.append(_printable("; ".join(filter(None, (remark.problem, remark.mend)))))
    screen.print(text, soft_wrap=True)


def _share(per_mille: int) -> str:
    return f"0.{per_mille:03d}"


def _printable(text: str, *, keep: str = "") -> str:
    """Spell out what is not printable, so that a file cannot steer the terminal."""
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
