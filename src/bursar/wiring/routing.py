"""Settings → tiers and the learned model."""

from bursar.adapters.routing.model_files import load_route_model
from bursar.domain.price_book import PriceBook
from bursar.domain.windows import WindowBook
from bursar.errors import BadSetting, BursarError
from bursar.exchange.engine import Learned
from bursar.policy.routing.tiers import TierBook
from bursar.settings import Settings
from bursar.settings.agents import quoted
from bursar.settings.routing import build_tier_book, check_tier


def build_tiers(settings: Settings, windows: WindowBook, prices: PriceBook, at_s: float) -> TierBook:
    """Put the tiers together, and check them against what is known of their models.

    Args:
        settings: The operator's.
        windows: What is known of models.
        prices: Their prices.
        at_s: The time for which a model must have one.

    Raises:
        BadSetting: Tiers contradict each other, or a model has no price.
    """
    book = build_tier_book(settings.tiers, settings.tasks, settings.routing, windows.dialect_of)
    for place, tier in settings.layers.tiers():
        check_tier(tier, settings.tiers, place)
    if settings.unpriced == "admit":
        return book
    named = [(f"tiers.{quoted(tier.name)}", model) for tier in book.tiers for model in tier.models]
    named += [("routing.baseline", book.baseline)] if book.baseline else []
    for place, model in named:
        if prices.price(model, at_s) is None:
            raise BadSetting(
                f'no price is known for "{model}", so nobody can say whether to route to it pays; check its '
                f"name, or add [prices.{quoted(model)}]",
                place=place,
            )
    return book


def build_learned(settings: Settings, tiers: TierBook) -> Learned | None:
    """Read the learned model, where one is set.

    Raises:
        BadSetting: It cannot be read, judges answers, or speaks of models that are in no tier.
    """
    file, place = settings.routing.model, "routing.model"
    if file is None:
        return None
    try:
        model = load_route_model(file)
    except BursarError as error:
        raise BadSetting(str(error), place=place) from None
    card = model.card
    if card.answer_field:
        raise BadSetting(
            f"{file} judges answers, and calls are routed before there is one; train it without "
            "--answer-field",
            place=place,
        )
    known = {name for tier in tiers.tiers for name in tier.models}
    missing = [name for name in (card.weak, card.strong) if name not in known]
    if missing:
        raise BadSetting(
            f'{file} tells "{card.weak}" from "{card.strong}", and no tier holds "{missing[0]}"; add it to '
            "[tiers], or train the model with the tiers' names",
            place=place,
        )
    return Learned(model, model.threshold_for(settings.routing.quality))
