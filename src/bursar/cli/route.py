"""`bursar route`: learn which prompts need the stronger model, and what that saves."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import TaskProgressColumn, TimeRemainingColumn

from bursar.adapters.routing.fitting import Learner
from bursar.adapters.routing.model_files import save_route_model
from bursar.adapters.routing.outcomes import Outcomes, Wanted, read_outcomes
from bursar.adapters.routing.validation import Validation
from bursar.cli.examples import examples
from bursar.cli.progress import progress_bar
from bursar.cli.route_plot import draw
from bursar.cli.route_screen import Evaluation, Training, show_evaluation, show_training
from bursar.cli.tables import console
from bursar.domain.money import nusd_from_usd
from bursar.errors import BadAmount, CallerMistake
from bursar.policy.routing.curve import Stakes

route_app = typer.Typer(
    help="Learn which prompts need the stronger model, and what that saves.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

OutcomesArgument = Annotated[
    str,
    typer.Argument(
        metavar="OUTCOMES", help='JSONL: {"prompt": …, MODEL: true, false or a score from 0 to 1, …}.'
    ),
]
ModelsOption = Annotated[
    str | None,
    typer.Option(metavar="WEAK,STRONG", help="Fields that hold the models' outcomes; found where unsaid."),
]
FoldsOption = Annotated[
    int, typer.Option(min=2, max=100, help="Parts, of which each is judged by what the others teach.")
]
GroupOption = Annotated[
    str | None, typer.Option(metavar="FIELD", help="Prompts of one group never are in two parts.")
]
CascadeOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD", help="Field with the weak model's answer, for a model that judges it and asks again."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@route_app.command(epilog=examples("route train"))
def train(
    outcomes: OutcomesArgument,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the model goes.")] = Path("route.model"),
    models: ModelsOption = None,
    folds: FoldsOption = 5,
    seed: Annotated[int, typer.Option(min=0, help="Which way to deal the prompts into parts.")] = 0,
    group_by: GroupOption = None,
    cascade: CascadeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model to prompts with known outcomes, and keep it.

    The model is a small file without any of the prompts' words. With it is kept which threshold came to what
    quality, found by cross-validation.
    """
    read = read_outcomes(outcomes, _wanted(models, group_by, cascade))
    if out.exists() and out.samefile(outcomes):
        raise CallerMistake(f"--out: {out} is the file of outcomes; name another")
    with _progress("Learning", folds + 1) as advance:
        model = Validation(read, Learner(), advance).model(folds, seed)
    size_bytes = save_route_model(model, str(out))
    training = Training(model, str(out), size_bytes)
    if as_json:
        _print_json(training.as_json())
    else:
        show_training(console(), training)


@route_app.command("eval", epilog=examples("route eval"))
def evaluate(
    outcomes: OutcomesArgument,
    *,
    price: Annotated[
        list[str],
        typer.Option(metavar="MODEL=USD", help="What a model costs, for calls alike; once for each model."),
    ],
    models: ModelsOption = None,
    quality: Annotated[
        float, typer.Option(help="Quality wanted, over that of the strong model alone: above 0, at most 1.")
    ] = 0.95,
    folds: FoldsOption = 5,
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="How often to deal the prompts anew; figures are means.")
    ] = 1,
    group_by: GroupOption = None,
    cascade: CascadeOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw cost against quality, as FILE.svg.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a learned model saves at a wanted quality, by prompts that it did not learn from.

    Each part of the prompts is scored by a model that learned from the others (cross-validation); then one
    threshold is set over all of them. Beside it stand what drawing lots saves at the same quality, and what
    knowing the outcomes beforehand would.
    """
    if not 0 < quality <= 1:
        raise CallerMistake(f"--quality: {quality:g} is to be above 0 and at most 1, such as 0.95")
    if plot is not None and plot.suffix.lower() != ".svg":
        raise CallerMistake(f"--plot: {plot} is to end in .svg, which is what is drawn")
    read = read_outcomes(outcomes, _wanted(models, group_by, cascade))
    stakes = _stakes(price, read, both_paid=cascade is not None)
    with _progress("Learning", folds * seeds) as advance:
        validation = Validation(read, Learner(), advance)
        judged = [validation.judge(folds, seed) for seed in range(seeds)]
    evaluation = Evaluation(
        read,
        stakes,
        quality,
        curves=[each.curve for each in judged],
        figures=[each.figures(stakes, quality) for each in judged],
    )
    if plot is not None:
        _write(plot, draw(evaluation))
    if as_json:
        _print_json(evaluation.as_json())
    else:
        show_evaluation(console(), evaluation)


def _wanted(models: str | None, group_by: str | None, cascade: str | None) -> Wanted:
    return Wanted(None if models is None else _pair(models), cascade or "", group_by or "")


def _pair(models: str) -> tuple[str, str]:
    names = [name.strip() for name in models.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise CallerMistake(f'--models: "{models}" is to name two models, the weak one first: WEAK,STRONG')
    return names[0], names[1]


def _stakes(stated: Sequence[str], outcomes: Outcomes, *, both_paid: bool) -> Stakes:
    """Read the prices of both models."""
    prices_nusd: dict[str, int] = {}
    models = (outcomes.weak, outcomes.strong)
    for each in stated:
        name, equals, amount = each.rpartition("=")
        if not equals or not name:
            raise CallerMistake(f'--price: "{each}" is to be MODEL=USD, such as {outcomes.weak}=0.24')
        if name not in models:
            raise CallerMistake(f'--price: "{name}" is none of the models {models[0]} and {models[1]}')
        if name in prices_nusd:
            raise CallerMistake(f'--price: "{name}" has two prices; give one')
        try:
            prices_nusd[name] = nusd_from_usd(amount)
        except BadAmount as error:
            raise CallerMistake(f"--price: {error}") from None
    for name in models:
        if name not in prices_nusd:
            raise CallerMistake(f'--price: none is given for "{name}"; add --price {name}=USD')
    weak_nusd, strong_nusd = (prices_nusd[name] for name in models)
    if weak_nusd < 0 or weak_nusd >= strong_nusd:
        raise CallerMistake(
            f'--price: "{models[0]}" is to cost less than "{models[1]}" and no less than nothing; where it '
            f"is the other way round, swap the models: --models {models[1]},{models[0]}"
        )
    return Stakes(weak_nusd, strong_nusd, both_paid=both_paid)


@contextmanager
def _progress(doing: str, steps: int) -> Generator[Callable[[], None]]:
    """Show on a terminal how many of the models have been fitted."""
    with progress_bar(doing, steps, TaskProgressColumn(), TimeRemainingColumn()) as (shown, task):
        yield lambda: shown.advance(task)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CallerMistake(f"--plot: {file} cannot be written ({error.strerror})") from None


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
