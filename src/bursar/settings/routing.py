"""`[tiers]`, `[tasks]` and `[routing]` of bursar.toml: which models may stand for each other, and when."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from bursar.errors import BadSetting
from bursar.policy.routing.tiers import AUTO, DEFAULT_TASKS, Tier, TierBook
from bursar.settings.agents import quoted
from bursar.settings.sections import Section
from bursar.settings.values import Label, wrong

Quality = Annotated[float, Field(gt=0, le=1)]


def _check_tier(name: str) -> str:
    """Check a tier's name: clients write it behind `bursar/`."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) or f"bursar/{name}" == AUTO:
        raise wrong("tier", 'a tier\'s name has up to 64 of a-z, 0-9, "-" and "_", and is not "auto"')
    return name


TierName = Annotated[str, AfterValidator(_check_tier)]
Tiers = dict[TierName, tuple[str, ...]]
Tasks = dict[Label, str]


class Routing(Section):
    """`[routing]`: who is routed, and by what.

    Attributes:
        baseline: What `bursar/auto` and `bursar/TIER` are compared with; default the first model of the
            default tier.
        default: The tier of tasks that are not known; default `standard`, else the last one of `[tiers]`.
        routable: Models that clients name and that are routed all the same.
        cache_regret: Whether a thread stays with its model unless the change pays; default true.
        model: File of a model that `bursar route train` has made.
        quality: What is wanted of the learned model's choice, over the strong model alone; default 0.95.
    """

    baseline: str | None = None
    default: str | None = None
    routable: tuple[str, ...] = ()
    cache_regret: bool = True
    model: str | None = None
    quality: Quality = 0.95


def build_tier_book(
    tiers: Mapping[str, tuple[str, ...]],
    tasks: Mapping[str, str],
    routing: Routing,
    dialect_of: Callable[[str], str],
) -> TierBook:
    """Put the three tables together.

    Args:
        tiers: `[tiers]`, from the cheapest to the dearest.
        tasks: `[tasks]`.
        routing: `[routing]`.
        dialect_of: Says which API a model speaks.

    Raises:
        BadSetting: A tier has no models, or models of several dialects; or a tier is named that there is not.
    """
    book = TierBook(
        tiers=tuple([_tier(name, models, dialect_of) for name, models in tiers.items()]),
        tasks={**_default_tasks(tiers), **tasks},
        default=routing.default or "",
        baseline=routing.baseline or "",
        routable=frozenset(routing.routable),
        keeps_caches=routing.cache_regret,
    )
    for place, tier in _named_tiers(tasks, routing):
        check_tier(tier, tiers, place)
    if not tiers:
        idle = next((name for name in ("baseline", "routable", "model") if getattr(routing, name)), None)
        if idle is not None:
            raise BadSetting(f"there are no tiers to route to; {_TIERS_MEND}", place=f"routing.{idle}")
    return book


_TIERS_MEND = 'write them as [tiers] fast = ["MODEL"], standard = ["MODEL"], from the cheapest to the dearest'


def _default_tasks(tiers: Iterable[str]) -> dict[str, str]:
    known = set(tiers)
    return {task: tier for task, tier in DEFAULT_TASKS.items() if tier in known}


def _named_tiers(tasks: Mapping[str, str], routing: Routing) -> Iterator[tuple[str, str]]:
    yield from ((f"tasks.{quoted(task)}", tier) for task, tier in tasks.items())
    if routing.default is not None:
        yield "routing.default", routing.default


def check_tier(name: str, tiers: Iterable[str], place: str) -> None:
    """Check that there is a tier of a name.

    Raises:
        BadSetting: There is none.
    """
    known = list(tiers)
    if name in known:
        return
    if not known:
        raise BadSetting(f'there is no tier "{name}", nor any other; {_TIERS_MEND}', place=place)
    near = difflib.get_close_matches(name, known, 1)
    mend = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"
    raise BadSetting(f'there is no tier "{name}"; {mend}', place=place)


def _tier(name: str, models: tuple[str, ...], dialect_of: Callable[[str], str]) -> Tier:
    place = f"tiers.{quoted(name)}"
    if not models:
        raise BadSetting("is a tier without models; name at least one, or remove it", place=place)
    twice = next((model for number, model in enumerate(models) if model in models[:number]), None)
    if twice is not None:
        raise BadSetting(f'names "{twice}" twice; remove one', place=place)
    by_dialect: dict[str, str] = {}
    for model in models:
        if model.startswith("bursar/"):
            raise BadSetting(f'"{model}" is a name for a tier; name models', place=place)
        by_dialect.setdefault(dialect_of(model), model)
    if len(by_dialect) > 1:
        shown = ", ".join(f'"{model}" speaks {dialect}' for dialect, model in by_dialect.items())
        raise BadSetting(
            f"mixes models of several APIs ({shown}); a call cannot change its API, so give each a tier of "
            "its own",
            place=place,
        )
    return Tier(name, next(iter(by_dialect)), models)
