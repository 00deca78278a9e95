"""Settings → the engine, for every door."""

from time import time

from bursar.adapters.maxima_data import load_maxima
from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.adapters.model_limits import load_windows
from bursar.adapters.price_data import load_price_book
from bursar.exchange.engine import Engine, EngineOptions, UpstreamPolicy
from bursar.policy.budgets.book import BudgetBook
from bursar.policy.budgets.worst_case import Caution
from bursar.settings import Provider, Settings, base_url
from bursar.settings.budgets import budgets_of
from bursar.wiring.routing import build_learned, build_tiers


def providers_of(settings: Settings) -> dict[str, Provider]:
    """Return the provider sections by name."""
    return {"anthropic": settings.providers.anthropic, "openai": settings.providers.openai}


def build_engine(settings: Settings) -> Engine:
    """Construct an engine with a fresh view.

    Raises:
        BadSetting: Tiers contradict each other, or what is known of their models; or the learned model cannot
            be read.
    """
    windows, prices = load_windows(), load_price_book(settings.prices.listings())
    tiers = build_tiers(settings, windows, prices, time())
    return Engine(
        options=EngineOptions(
            upstreams={
                name: UpstreamPolicy(
                    base_url=base_url(name, provider),
                    timeout_s=provider.timeout_s,
                    deadline_s=provider.deadline_s,
                    retries_max=provider.retries_max,
                )
                for name, provider in providers_of(settings).items()
            },
            mode=settings.mode,
            admit_unpriced=settings.unpriced == "admit",
            routing_tasks=frozenset(settings.routing_tasks),
            policies=settings.layers.book(),
            holdout_per_mille=settings.holdout,
            caution=Caution(settings.count_margin, settings.unpriced_worst_case_usd),
            admit_unheld=settings.storage.on_store_failure == "admit",
            tiers=tiers,
        ),
        prices=prices,
        rules=load_cache_rules(),
        ratios=load_token_ratios(),
        windows=windows,
        maxima=load_maxima(),
        budgets=BudgetBook(budgets_of(settings.budgets)),
        learned=build_learned(settings, tiers),
    )
