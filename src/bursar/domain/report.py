"""What calls cost and saved, summed up and grouped.

A `Tally` adds entries up; a `Report` is one tally of everything and a row for each group. Both are the
same whether they come from entries in memory (replay) or from a ledger's own sums.

What cannot be known is left out of a sum and counted beside it, never added as zero: `unknown_calls`
have no known cost, `uncompared_calls` lack a cost or a baseline. Baseline and saved are sums over the
compared calls only, so that saved / baseline is a ratio of like with like.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any

from bursar.domain.holdout import Comparison, compare
from bursar.domain.ledger import Component, CostBasis, Entry, Technique
from bursar.domain.money import share_out, usd_text
from bursar.domain.usage import PROMPT_CLASSES, TokenClass

# Made once: tallies are made for every commit, and to walk an enum costs more than all their sums.
_CLASS_NAMES = tuple(c.value for c in TokenClass)
_counts_by_class = attrgetter(*_CLASS_NAMES)
_NO_TOKENS = dict.fromkeys(_CLASS_NAMES, 0)
_NO_TECHNIQUES = dict.fromkeys(Technique, 0)
_NO_COMPONENTS = dict.fromkeys(Component, 0)


class ReportKey(StrEnum):
    """What a report can be grouped by. `MODEL` is the model that the client asked for."""

    TENANT = "tenant"
    AGENT = "agent"
    MODEL = "model"
    CONVERSATION = "conversation"
    USER = "user"
    TASK = "task"
    TAG = "tag"
    COMPONENT = "component"


@dataclass(slots=True)
class Tally:
    """Running sums over calls. Mutable, for one owner. Every map holds all its keys, in their enum's order.

    Attributes:
        calls: All calls.
        unknown_calls: Calls whose cost is unknown; they are in no amount below.
        uncompared_calls: Calls whose cost or baseline is unknown; they are not in baseline and saved.
        tokens: Tokens by class name; calls without usage add none.
        cost_nusd: Known costs.
        baseline_nusd: Baselines of the compared calls.
        saved_nusd: Baseline − cost of the compared calls.
        estimated_nusd: The part of `cost_nusd` that is estimated.
        estimated_max_nusd: The most that part can have been.
        techniques: Each technique's part of what was saved.
        would_save: What each would have saved, had it acted, over calls that were only observed.
        component_tokens: Where tokens of all classes went.
        component_nusd: Where known costs went.
    """

    calls: int = 0
    unknown_calls: int = 0
    uncompared_calls: int = 0
    tokens: dict[str, int] = field(default_factory=_NO_TOKENS.copy)
    cost_nusd: int = 0
    baseline_nusd: int = 0
    saved_nusd: int = 0
    estimated_nusd: int = 0
    estimated_max_nusd: int = 0
    techniques: dict[Technique, int] = field(default_factory=_NO_TECHNIQUES.copy)
    would_save: dict[Technique, int] = field(default_factory=_NO_TECHNIQUES.copy)
    component_tokens: dict[Component, int] = field(default_factory=_NO_COMPONENTS.copy)
    component_nusd: dict[Component, int] = field(default_factory=_NO_COMPONENTS.copy)

    def add(self, entry: Entry) -> None:
        """Add one call."""
        self.calls += 1
        self._add_amounts(entry)
        if entry.usage is not None:
            tokens = self.tokens
            for name, count in zip(_CLASS_NAMES, _counts_by_class(entry.usage), strict=True):
                if count:
                    tokens[name] += count
        for technique, share_nusd in entry.shares.items():
            self.techniques[technique] += share_nusd
        for technique, share_nusd in entry.would_save.items():
            self.would_save[technique] += share_nusd
        for component, share in entry.components.items():
            self.component_tokens[component] += sum(share.tokens.values())
            self.component_nusd[component] += share.cost_nusd or 0

    def _add_amounts(self, entry: Entry) -> None:
        cost_nusd = entry.cost_nusd
        if cost_nusd is None:
            self.unknown_calls += 1
            self.uncompared_calls += 1
            return
        self.cost_nusd += cost_nusd
        if entry.basis is CostBasis.ESTIMATED:
            self.estimated_nusd += cost_nusd
            self.estimated_max_nusd += cost_nusd if entry.cost_max_nusd is None else entry.cost_max_nusd
        if entry.baseline_nusd is None:
            self.uncompared_calls += 1
        else:
            self.baseline_nusd += entry.baseline_nusd
            self.saved_nusd += entry.baseline_nusd - cost_nusd

    @property
    def known_cost_nusd(self) -> int | None:
        """Cost, or None where there were calls and not one of their costs is known."""
        return None if 0 < self.calls == self.unknown_calls else self.cost_nusd

    @property
    def known_baseline_nusd(self) -> int | None:
        """Baseline, or None where there were calls and not one could be compared."""
        return None if 0 < self.calls == self.uncompared_calls else self.baseline_nusd

    @property
    def known_saved_nusd(self) -> int | None:
        """Saved, or None where there were calls and not one could be compared."""
        return None if 0 < self.calls == self.uncompared_calls else self.saved_nusd

    def row(self, keys: tuple[str, ...], by: Sequence[ReportKey]) -> "Row":
        """Return the sums as a row of a report that is grouped by `by`."""
        whole_calls = ReportKey.COMPONENT not in by
        return Row(
            keys=keys,
            calls=self.calls,
            unknown_calls=self.unknown_calls,
            cost_nusd=self.known_cost_nusd,
            baseline_nusd=self.known_baseline_nusd if whole_calls else None,
            saved_nusd=self.known_saved_nusd if whole_calls else None,
            tokens=in_class_order(self.tokens),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One group of a report.

    Attributes:
        keys: The group's values, in the order of the report's `by`.
        calls: Calls in it. By component, calls in which the component occurs.
        unknown_calls: Those whose cost is unknown.
        cost_nusd: Known costs; None where none is known.
        baseline_nusd: Baselines of the compared calls; None where none is known.
        saved_nusd: Baseline − cost of the compared calls; None as for the baseline. By component, what
            calls saved is shared out by the tokens of the prompt: no technique acts on output.
        tokens: Tokens by class name; zero classes are absent.
    """

    keys: tuple[str, ...]
    calls: int
    unknown_calls: int
    cost_nusd: int | None
    baseline_nusd: int | None
    saved_nusd: int | None
    tokens: Mapping[str, int]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompt classes."""
        return sum(self.tokens.get(c.value, 0) for c in PROMPT_CLASSES)


@dataclass(frozen=True, slots=True)
class Report:
    """What calls cost and saved: in total, and by group.

    By tag, a call counts once under each of its tags (`name=value`) and under an empty one where it has
    none. By component, tokens and cost are split exactly; a call without components counts under an
    empty one. Rows therefore add up to the total except by tag (cost) and by component (calls).

    Attributes:
        by: What it is grouped by; without keys there are no rows.
        total: Everything.
        rows: Groups, dearest first, then by their keys; unknown costs last.
        rows_left: Groups that a limit left out; they are in the total all the same.
        holdout: Conversations that were left as they came, beside the others; None where there are none.
    """

    by: tuple[ReportKey, ...]
    total: Tally
    rows: tuple[Row, ...]
    rows_left: int = 0
    holdout: Comparison | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the report as every interface of Bursar gives it.

        Amounts are decimal US dollars with nine places, or None where nothing is known. Techniques and
        token classes that are zero are absent, and so is `holdout` where nothing was held out.
        """
        total = self.total
        return {
            "total": {
                "calls": total.calls,
                "unknown_calls": total.unknown_calls,
                "uncompared_calls": total.uncompared_calls,
                "cost_usd": _usd(total.known_cost_nusd),
                "baseline_usd": _usd(total.known_baseline_nusd),
                "saved_usd": _usd(total.known_saved_nusd),
                "estimated_usd": usd_text(total.estimated_nusd),
                "estimated_max_usd": usd_text(total.estimated_max_nusd),
                "techniques": _usd_by_technique(total.techniques),
                "would_save": _usd_by_technique(total.would_save),
                "tokens": in_class_order(total.tokens),
            },
            "rows": [self._row_as_json(row) for row in self.rows],
            **({} if self.holdout is None else {"holdout": self.holdout.as_json()}),
        }

    def _row_as_json(self, row: Row) -> dict[str, Any]:
        return {
            **{key.value: value for key, value in zip(self.by, row.keys, strict=True)},
            "calls": row.calls,
            "unknown_calls": row.unknown_calls,
            "cost_usd": _usd(row.cost_nusd),
            "baseline_usd": _usd(row.baseline_nusd),
            "saved_usd": _usd(row.saved_nusd),
            "tokens": in_class_order(row.tokens),
        }


def report_of(entries: Iterable[Entry], by: Sequence[ReportKey], limit: int | None = None) -> Report:
    """Sum entries up and group them.

    Args:
        entries: Calls, each once.
        by: What to group by; may be empty.
        limit: How many rows are kept; None for all.
    """
    entries = entries if isinstance(entries, Sequence) else tuple(entries)
    total = Tally()
    groups: dict[tuple[str, ...], Tally] = {}
    for entry in entries:
        total.add(entry)
        if by:
            for keys in _groups(entry, by):
                group = groups.get(keys)
                if group is None:
                    group = groups[keys] = Tally()
                _add_to_group(group, entry, keys, by)
    found = [tally.row(keys, by) for keys, tally in groups.items()]
    if ReportKey.COMPONENT in by:
        rest = [key for key in by if key is not ReportKey.COMPONENT]
        found = share_savings(found, by, saved_by_keys(report_of(entries, rest)))
    rows = sorted(found, key=order)
    kept = rows if limit is None else rows[:limit]
    return Report(tuple(by), total, tuple(kept), len(rows) - len(kept), compare(entries))


def share_savings(
    rows: Sequence[Row], by: Sequence[ReportKey], saved_nusd: Mapping[tuple[str, ...], int | None]
) -> list[Row]:
    """Share what groups of whole calls saved out over the components of each.

    Args:
        rows: Rows by component and whatever else.
        by: Their keys.
        saved_nusd: What each group saved, by the other keys; None where unknown.

    Returns:
        The rows with baseline and saved, which add up to the groups' exactly.
    """
    at = by.index(ReportKey.COMPONENT)
    groups: dict[tuple[str, ...], list[Row]] = {}
    # In one order whoever found the rows, so that what cannot be shared evenly goes to the same ones.
    for row in sorted(rows, key=attrgetter("keys")):
        groups.setdefault(row.keys[:at] + row.keys[at + 1 :], []).append(row)
    shared: list[Row] = []
    for keys, members in groups.items():
        saved = saved_nusd.get(keys)
        if saved is None:
            shared += members
            continue
        parts = share_out(saved, [row.prompt_tokens for row in members])
        shared += [
            replace(row, baseline_nusd=(row.cost_nusd or 0) + part, saved_nusd=part)
            for row, part in zip(members, parts, strict=True)
        ]
    return shared


def saved_by_keys(report: "Report") -> dict[tuple[str, ...], int | None]:
    """Return what each group of a report saved; the total's under no keys where it has no groups."""
    if not report.by:
        return {(): report.total.known_saved_nusd}
    return {row.keys: row.saved_nusd for row in report.rows}


def order(row: Row) -> tuple[bool, int, tuple[str, ...]]:
    """Return what rows are sorted by: dearest first, unknown costs last, then the keys."""
    return (row.cost_nusd is None, -(row.cost_nusd or 0), row.keys)


def in_class_order(tokens: Mapping[str, int]) -> dict[str, int]:
    """Return the non-zero classes in the order of `TokenClass`."""
    return {c.value: n for c in TokenClass if (n := tokens.get(c.value))}


_ATTRIBUTES = {
    ReportKey.TENANT: attrgetter("attribution.tenant"),
    ReportKey.AGENT: attrgetter("attribution.agent"),
    ReportKey.MODEL: attrgetter("model"),
    ReportKey.CONVERSATION: attrgetter("attribution.conversation"),
    ReportKey.USER: attrgetter("attribution.user"),
    ReportKey.TASK: attrgetter("attribution.task"),
}


def _values(entry: Entry, key: ReportKey) -> Sequence[str]:
    if key is ReportKey.TAG:
        return [f"{name}={value}" for name, value in entry.attribution.tags] or [""]
    if key is ReportKey.COMPONENT:
        return [component.value for component in entry.components] or [""]
    return [_ATTRIBUTES[key](entry)]


def _groups(entry: Entry, by: Sequence[ReportKey]) -> Iterator[tuple[str, ...]]:
    """Yield every group that a call belongs to: the product of its values."""
    head, *rest = by
    for value in _values(entry, head):
        if rest:
            for values in _groups(entry, rest):
                yield (value, *values)
        else:
            yield (value,)


def _add_to_group(group: Tally, entry: Entry, keys: tuple[str, ...], by: Sequence[ReportKey]) -> None:
    component = keys[by.index(ReportKey.COMPONENT)] if ReportKey.COMPONENT in by else ""
    if not component:
        group.add(entry)
        return
    share = entry.components[Component(component)]
    group.calls += 1
    if share.cost_nusd is None:
        group.unknown_calls += 1
    else:
        group.cost_nusd += share.cost_nusd
    for name, count in share.tokens.items():
        group.tokens[name] += count


def _usd_by_technique(shares: Mapping[Technique, int]) -> dict[str, str]:
    return {technique.value: usd_text(nusd) for technique, nusd in shares.items() if nusd}


def _usd(nusd: int | None) -> str | None:
    return None if nusd is None else usd_text(nusd)
