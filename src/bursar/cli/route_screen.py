"""What `bursar route` shows: on a terminal and as JSON."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bursar.adapters.routing.outcomes import Outcomes
from bursar.adapters.routing.validation import Figures, mean
from bursar.cli.tables import titled_table
from bursar.policy.routing.curve import Curve, Sample, Stakes, sample
from bursar.policy.routing.model import RouteModel

_QUALITIES = (0.9, 0.95, 0.98, 1.0)
_SHOWN_STEPS = 10


class Training(msgspec.Struct, frozen=True):
    """A model that was fitted and kept.

    Attributes:
        model: The model.
        file: Where it was kept.
        size_bytes: Size of the file.
    """

    model: RouteModel
    file: str
    size_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "file": self.file,
            "bytes": self.size_bytes,
            **msgspec.to_builtins(self.model.card),
            "thresholds": self.thresholds(),
        }

    def thresholds(self) -> list[dict[str, float]]:
        """Return which threshold, and how many calls to the strong model, a few qualities take."""
        curve = self.model.curve
        points = [(quality, curve.cheapest(quality)) for quality in _QUALITIES]
        return [
            {
                "quality": quality,
                "threshold": point.threshold,
                "strong_share": point.strong_calls / curve.calls,
            }
            for quality, point in points
        ]


class Evaluation(msgspec.Struct, frozen=True):
    """What learned routing came to.

    Attributes:
        read: The outcomes.
        stakes: The prices.
        quality: What was wanted.
        curves: A curve for each way of dealing the prompts.
        figures: The figures of each.
    """

    read: Outcomes
    stakes: Stakes
    quality: float
    curves: Sequence[Curve]
    figures: Sequence[Figures]

    def right(self) -> tuple[float, float]:
        """Return how good the weak model is on its own, and the strong one, from 0 to 1."""
        rows = self.read.rows
        weak = sum(row.outcome.weak for row in rows) / len(rows)
        return weak, sum(row.outcome.strong for row in rows) / len(rows)

    def samples(self) -> list[Sample]:
        """Return the mean of the curves, for each per cent of calls that go to the strong model."""
        return sample(self.curves)

    def saved(self, strong_share: float) -> float:
        """Return which share of the strong model's cost a share of calls to it saves."""
        calls = len(self.read.rows)
        return self.stakes.saved(calls, round(strong_share * calls))

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        weak, strong = self.right()
        return {
            "rows": len(self.read.rows),
            "data_sha256": self.read.sha256,
            "models": {"weak": self.read.weak, "strong": self.read.strong},
            "right": {"weak": weak, "strong": strong},
            "cascade": self.stakes.both_paid,
            "wanted_quality": self.quality,
            **msgspec.structs.asdict(mean(self.figures)),
            "seeds": [
                {"seed": seed, **msgspec.structs.asdict(each)} for seed, each in enumerate(self.figures)
            ],
            "curve": [
                {**msgspec.structs.asdict(each), "cost_saved": self.saved(each.strong_share)}
                for each in self.samples()
            ],
        }


def show_training(screen: Console, training: Training) -> None:
    """Show on a terminal what was learned."""
    card = training.model.card
    screen.print(
        f"{card.rows:,} prompts; {card.strong} is better on {card.strong_better:,} of them, "
        f"{card.weak} on {card.strong_worse:,}."
    )
    table = titled_table("Thresholds, by cross-validation")
    for name in ("quality", "threshold", f"to {card.strong}"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in training.thresholds():
        table.add_row(_percent(row["quality"]), f"{row['threshold']:.4f}", _percent(row["strong_share"]))
    screen.print(table)
    screen.print(
        f"Kept in {training.file} ({training.size_bytes:,} bytes). Learned from data with SHA-256 "
        f"{card.data_sha256}.",
        markup=False,
        soft_wrap=True,
    )


def show_evaluation(screen: Console, evaluation: Evaluation) -> None:
    """Show on a terminal what routing saves."""
    read, count = evaluation.read, len(evaluation.figures)
    weak, strong = evaluation.right()
    screen.print(
        f"{len(read.rows):,} prompts; {read.weak} is right on {_percent(weak)}, {read.strong} on "
        f"{_percent(strong)}.{' The weak model is asked first, and paid.' * evaluation.stakes.both_paid}",
        markup=False,
        soft_wrap=True,
    )
    screen.print(_figure_table(evaluation))
    held_out = mean(evaluation.figures).held_out_quality
    screen.print(
        f"Of prompts to come expect {_percent(held_out)}: so much came of thresholds that were set by other "
        f"prompts."
    )
    screen.print(_curve_table(evaluation))
    if count > 1:
        saved = [each.cost_saved for each in evaluation.figures]
        screen.print(
            f"Means of {count} ways of dealing; saved between {_percent(min(saved))} and "
            f"{_percent(max(saved))}."
        )


def _figure_table(evaluation: Evaluation) -> Table:
    figures = mean(evaluation.figures)
    table = titled_table(f"At {_percent(evaluation.quality)} of the quality of {evaluation.read.strong}")
    table.add_column("calls are chosen by", no_wrap=True)
    for name in ("cost saved", "quality", f"to {evaluation.read.strong}", "threshold"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(
        "what was learned",
        _percent(figures.cost_saved),
        _percent(figures.quality),
        _percent(figures.strong_share),
        f"{figures.threshold:.4f}",
        style="bold",
    )
    table.add_row("lot", _percent(figures.random_cost_saved))
    table.add_row("knowing all outcomes", _percent(figures.oracle_cost_saved))
    return table


def _curve_table(evaluation: Evaluation) -> Table:
    table = titled_table("Cost against quality")
    for name in (f"to {evaluation.read.strong}", "cost saved", "quality", "threshold"):
        table.add_column(name, justify="right", no_wrap=True)
    samples = evaluation.samples()
    for each in samples[:: (len(samples) - 1) // _SHOWN_STEPS]:
        table.add_row(
            _percent(each.strong_share),
            _percent(evaluation.saved(each.strong_share)),
            _percent(each.quality),
            f"{each.threshold:.4f}",
        )
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
