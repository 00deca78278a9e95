"""Holding what sending a plan can take."""

from collections.abc import Generator
from typing import Any

from bursar.effects import Effect
from bursar.exchange.bounding import bound
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.holding import Hold
from bursar.exchange.planning import Plan
from bursar.policy.budgets.refusals import Refusal
from bursar.policy.budgets.worst_case import Bounds, Sending, write_classes
from bursar.wire.dialect import Fault
from bursar.wire.drafts import UNSEEN_MARKS
from bursar.wire.extras import read_extras


def cover_plan(
    engine: Engine, call: Call, plan: Plan, hold: Hold
) -> Generator[Effect, Any, Refusal | Fault | None]:
    """Hold what sending a plan can take at most; returns why it must not be sent, or None."""
    if not hold.is_needed:
        return None
    return (yield from hold.cover(bound_plan(engine, call, plan)))


def bound_plan(engine: Engine, call: Call, plan: Plan) -> Bounds:
    """Bound what sending a plan takes."""
    request, layout = call.request, plan.layout
    unseen = UNSEEN_MARKS in request.features
    sending = Sending(
        body_bytes=len(plan.body),
        counted_tokens=layout.total_tokens,
        factor_per_mille=engine.calibration.factor_per_mille(call.arrival.upstream, request.model),
        pieces=len(layout.prompt.messages) + len(layout.prompt.system),
        output_tokens_max=request.max_tokens if plan.max_tokens is None else plan.max_tokens,
        writes=write_classes(plan.marks.values(), plan.options, plan.rules, unseen=unseen),
        extras=read_extras(request),
    )
    return bound(engine, call, request.model, request.terms, sending)
