"""The most that an attempt can take, before it is made."""

from bursar.domain.prices import Terms
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.policy.budgets.worst_case import Bounds, ModelBounds, Sending, bound_attempt


def bound(engine: Engine, call: Call, model: str, terms: Terms, sending: Sending) -> Bounds:
    """Bound what an attempt takes.

    Args:
        engine: Prices, ratios, windows and maxima.
        call: The call that it is made for.
        model: The model that is asked.
        terms: What it is billed under.
        sending: What is sent.
    """
    is_asked_for = model == call.request.model
    known = ModelBounds(
        call.price if is_asked_for else engine.prices.price(model, call.arrival.at_s),
        terms,
        engine.ratios.ratios(model),
        engine.windows.find(call.dialect.name, model),
        engine.maxima[call.dialect.name],
        engine.dearest,
    )
    return bound_attempt(sending, known, engine.options.caution)
