"""Settings → a replay."""

from collections.abc import Collection
from dataclasses import replace

from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.model_limits import load_model_limits
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.domain.ledger import Technique
from bursar.double.provider import Provisions
from bursar.replay.bound import Bound
from bursar.replay.provider import OpenCatalogue, RecordedProvider
from bursar.replay.runner import Runner
from bursar.settings import Settings
from bursar.wiring.engine import build_engine


def build_replay(
    settings: Settings, *, bounded: bool, without: Collection[Technique] = ()
) -> tuple[Runner, Bound | None]:
    """Build a runner with a fresh engine and a fresh provider, both at the settings' prices.

    Args:
        settings: The operator's.
        bounded: Whether the least that the calls can cost is worked out too.
        without: Techniques that are off for everybody, whatever the settings say.

    Returns:
        The runner, and the bound that follows it, where asked for.
    """
    engine = build_engine(settings)
    if without:
        engine.options = replace(engine.options, policies=engine.options.policies.without(without))
    tokenizer = SplintrTokenizer()
    provisions = Provisions(
        prices=engine.prices,
        rules=engine.rules,
        ratios=engine.ratios,
        models=OpenCatalogue(load_model_limits(), engine.prices),
        tokenizer=tokenizer,
    )
    bound = Bound(engine.prices, engine.rules, engine.ratios, tokenizer) if bounded else None
    budgets = MemoryBudgets() if engine.budgets.budgets else None
    return Runner(engine, RecordedProvider(provisions), tokenizer, bound, budgets), bound
