"""What a doctor has found, on the terminal and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bursar.cli.tables import percent, places_for, titled_table, usd
from bursar.domain.attribution import DEFAULT
from bursar.domain.money import usd_text
from bursar.replay.diagnosis.findings import Finding
from bursar.replay.diagnosis.ledger import LedgerCourse
from bursar.replay.diagnosis.spending import AgentOutput
from bursar.replay.diagnosis.traffic import Course
from bursar.replay.files import Skipped

_REASONS_SHOWN = 5
_AGENTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TrafficDiagnosis:
    """What was found in recorded calls.

    Attributes:
        findings: The dearest first.
        course: What was looked at.
        skipped: What was left out of the files.
        conversations: Conversations of transcripts.
        late_calls: Logged calls that stood too far behind later ones.
        gap_s: Seconds between calls whose times are made up.
    """

    findings: Sequence[Finding]
    course: Course
    skipped: Skipped
    conversations: int
    late_calls: int
    gap_s: float

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` gives it."""
        course, skipped = self.course, self.skipped
        return {
            "total": {
                "calls": course.calls,
                "unpriced_calls": course.unpriced_calls,
                "prompts_usd": _known(course.prompts_nusd, course.calls, course.unpriced_calls),
                "lost_usd": usd_text(_lost_nusd(self.findings)),
            },
            "findings": [finding.as_json() for finding in self.findings],
            "replay": {
                "conversations": self.conversations,
                "made_up_times": course.made_up_times,
                "late_calls": self.late_calls,
                "refused_calls": course.refused_calls,
                "skipped_lines": skipped.lines,
                "empty_calls": skipped.empty_calls,
                "failed_calls": skipped.failed_calls,
            },
        }


@dataclass(frozen=True, slots=True)
class LedgerDiagnosis:
    """What was found in a ledger.

    Attributes:
        findings: The dearest first.
        output: What agents pay for output and reasoning, the dearest first.
        course: What was looked at.
    """

    findings: Sequence[Finding]
    output: Sequence[AgentOutput]
    course: LedgerCourse

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` gives it."""
        course = self.course
        return {
            "total": {
                "calls": course.calls,
                "unpriced_calls": course.unpriced_calls,
                "lone_calls": course.lone_calls,
                "cost_usd": _known(course.cost_nusd, course.calls, course.unpriced_calls),
                "lost_usd": usd_text(_lost_nusd(self.findings)),
            },
            "findings": [finding.as_json() for finding in self.findings],
            "output": [agent.as_json() for agent in self.output],
        }


def show_traffic(screen: Console, diagnosis: TrafficDiagnosis) -> None:
    """Print what was found in recorded calls."""
    course = diagnosis.course
    if not course.calls:
        screen.print("No calls.")
        return
    _show_findings(
        screen, diagnosis.findings, course.prompts_nusd, f"{course.calls:,} calls' prompts, as sent"
    )
    if course.unpriced_calls:
        screen.print(f"Unknown price: {course.unpriced_calls:,} calls, in no amount.", style="yellow")
    for note in _notes(diagnosis):
        screen.print(note, style="dim")


def show_ledger(screen: Console, diagnosis: LedgerDiagnosis) -> None:
    """Print what was found in a ledger."""
    course = diagnosis.course
    if not course.calls:
        screen.print("No calls.")
        return
    _show_findings(screen, diagnosis.findings, course.cost_nusd, f"{course.calls:,} calls")
    if any(agent.output_tokens or agent.reasoning_tokens for agent in diagnosis.output):
        screen.print(_output_table(diagnosis.output))
        screen.print(
            'Mend: [agents."NAME"] max_output_tokens, a lower effort or thinking budget, a cheaper model for '
            "simple tasks; ask for shorter answers.",
            style="dim",
            markup=False,
        )
        screen.print()
    if course.unpriced_calls:
        screen.print(f"Unknown cost: {course.unpriced_calls:,} calls, in no amount.", style="yellow")
    screen.print(
        "The ledger holds no content: which text changes, only a traffic log tells (bursar doctor FILE).",
        style="dim",
    )


def warn(screen: Console, diagnosis: TrafficDiagnosis) -> None:
    """Say on standard error what the amounts do not hold."""
    course = diagnosis.course
    if diagnosis.skipped.lines:
        _say(screen, f"{diagnosis.skipped.lines:,} lines could not be read and were skipped")
    if diagnosis.late_calls:
        _say(
            screen, f"{diagnosis.late_calls:,} logged calls stood far behind later ones; sort the log by `at`"
        )
    if course.refused_calls:
        _say(screen, f"{course.refused_calls:,} calls no provider could take, and they are in no amount:")
        for reason, place in list(course.refused.items())[:_REASONS_SHOWN]:
            _say(screen, f"  {place}: {reason}")


def _show_findings(screen: Console, findings: Sequence[Finding], cost_nusd: int, what: str) -> None:
    places = places_for((cost_nusd,))
    if not findings:
        screen.print(f"{what}: {usd(cost_nusd, places)}. Nothing found: what could be read was read.")
        screen.print()
        return
    lost_nusd = _lost_nusd(findings)
    table = titled_table("Why the cache missed", footer=True)
    table.add_column("lost", Text(usd(lost_nusd, places), style="bold"), justify="right", no_wrap=True)
    table.add_column("calls", justify="right", no_wrap=True)
    table.add_column("agent", "all", overflow="fold", max_width=20)
    table.add_column("why, where, and the mend", f"of {usd(cost_nusd, places)}", overflow="fold")
    for finding in findings:
        table.add_row(
            Text(usd(finding.known_lost_nusd, places), style="red"),
            f"{finding.calls:,}",
            Text(_agent(finding.kind.tenant, finding.kind.agent)),
            _explained(finding),
        )
        table.add_row()
    screen.print(table)
    share = percent(lost_nusd, cost_nusd)
    screen.print(f"{what}: {usd(cost_nusd, places)}; lost {usd(lost_nusd, places)} of it ({share}).")
    screen.print()


def _explained(finding: Finding) -> Text:
    kind, example = finding.kind, finding.example
    text = Text()
    text.append(kind.reason.value, style="bold")
    if kind.cause is not None:
        text.append(f" ({_CAUSES.get(kind.cause.value, kind.cause.value)})")
    if example.place:
        text.append(f" at {example.place}")
    if example.offset is not None:
        text.append(f", character {example.offset:,}")
    if example.before or example.after:
        text.append("\n  ")
        text.append(_quoted(example.before), style="cyan")
        text.append(" → ")
        text.append(_quoted(example.after), style="cyan")
    told = f"\n  {example.tokens:,} tokens at {example.call}"
    if example.gap_s is not None:
        told += f", {max(example.gap_s, 0.0):,.0f} s after {_other(example.earlier, example.call)}"
    text.append(told, style="dim")
    text.append(f"\n{finding.mend}")
    return text


_CAUSES = {
    "identifier": "an id",
    "clock": "a clock",
    "order": "another order",
    "keys": "keys in another order",
    "set": "others added or missing",
    "setting": "a setting",
    "cut": "history cut",
    "inserted": "history inserted into",
    "tail": "what follows varies",
    "text": "a text",
}


def _other(earlier: str, call: str) -> str:
    return earlier if earlier != call else "the call before"


def _quoted(text: str) -> str:
    """Spell out what is not printable: texts come from clients, and must not steer the terminal."""
    if not text:
        return "nothing"
    printable = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
    return f"“{printable}”"


def _agent(tenant: str, agent: str) -> str:
    name = agent if tenant == DEFAULT else f"{tenant}/{agent}"
    return _quoted(name)[1:-1]


def _output_table(output: Sequence[AgentOutput]) -> Table:
    shown = output[:_AGENTS_SHOWN]
    places = places_for(agent.cost_nusd for agent in shown)
    table = titled_table("Who pays for output and reasoning")
    table.add_column("agent", overflow="fold", max_width=30)
    for name in ("calls", "output", "cost", "reasoning", "cost", "of the agent's bill"):
        table.add_column(name, justify="right", no_wrap=True)
    for agent in shown:
        known = agent.calls > agent.unknown_calls
        table.add_row(
            Text(_agent(agent.tenant, agent.agent)),
            f"{agent.calls:,}",
            f"{agent.output_tokens:,}",
            usd(agent.output_nusd if known else None, places),
            f"{agent.reasoning_tokens:,}",
            usd(agent.reasoning_nusd if known else None, places),
            percent(agent.output_nusd + agent.reasoning_nusd, agent.cost_nusd),
        )
    if len(output) > len(shown):
        table.caption = f"Agents left out: {len(output) - len(shown):,}; --json has them all."
    return table


def _notes(diagnosis: TrafficDiagnosis) -> list[str]:
    course, skipped = diagnosis.course, diagnosis.skipped
    notes = ["Amounts are of the cache model and the price book; all calls are taken to be one account's."]
    if course.made_up_times:
        notes.append(
            f"Times are made up for {course.made_up_times:,} of {course.calls:,} calls: "
            f"{diagnosis.gap_s:g} s apart (--gap)."
        )
    if skipped.empty_calls:
        notes.append(f"Skipped: {skipped.empty_calls:,} calls without an input.")
    if skipped.failed_calls:
        notes.append(f"Skipped: {skipped.failed_calls:,} calls that had failed when they were recorded.")
    return notes


def _lost_nusd(findings: Sequence[Finding]) -> int:
    return sum(finding.lost_nusd for finding in findings)


def _known(amount_nusd: int, calls: int, unknown_calls: int) -> str | None:
    return None if 0 < calls == unknown_calls else usd_text(amount_nusd)


def _say(screen: Console, text: str) -> None:
    screen.print(f"bursar: {text}", markup=False, soft_wrap=True)
