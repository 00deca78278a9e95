"""A call's life, from arrival to reply."""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.ledger import Entry, Status
from bursar.domain.scopes import scopes_of
from bursar.effects import Effect, Ended, Record, Reply, Whole
from bursar.errors import BadRequest, NotPermitted, UnpricedModel
from bursar.exchange.answering import Finding, answer_kept, find_answer, keep_and_share, takes_part
from bursar.exchange.arrival import (
    Arrival,
    asks_mode,
    attribute,
    chosen_mode,
    is_held_out,
    says_complex,
)
from bursar.exchange.attempts import Attempts, Unsent
from bursar.exchange.bills import nothing_billed, unknown_cost
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.entries import (
    Outcome,
    Tried,
    add_summary,
    settle,
    with_summary,
    write_entry,
    write_left,
    write_unsent,
)
from bursar.exchange.headers import for_client
from bursar.exchange.holding import LEFT, Hold
from bursar.exchange.loops import LOOP, Verdict, judge_call
from bursar.exchange.policy_pin import pin_policy
from bursar.exchange.replies import fault_reply, left_headers, own_headers, refusal, refuse, reply_to
from bursar.exchange.routing import read_alias
from bursar.exchange.versions import finish_reading
from bursar.policy.budgets.refusals import refuse_stopped
from bursar.policy.budgets.stops import stopped
from bursar.policy.keys.rights import check_use
from bursar.policy.response_cache import CacheUse
from bursar.policy.routing.tiers import ALIAS_PREFIX
from bursar.wire.dialect import Dialect, Edits, Fault
from bursar.wire.dialects import DIALECTS

Life = Generator[Effect, Any, Reply]


def live(engine: Engine, arrival: Arrival) -> Life:
    """Live one call.

    Yields:
        Effects, to be resumed with their results.

    Returns:
        What the client gets. For a stream that has begun, what it is still to get.
    """
    dialect = DIALECTS[arrival.dialect]
    try:
        call = yield from _read(engine, arrival, dialect)
        shared = takes_part(call)
    except (BadRequest, UnpricedModel) as error:
        return refusal(dialect, arrival, Fault(400, "invalid_request_error", str(error)))
    except NotPermitted as error:
        return refusal(dialect, arrival, Fault(403, "permission_error", str(error)))
    scopes = scopes_of(call.attribution, call.attribution.key) if engine.stops else ()
    halted = stopped(scopes, engine.stops)
    verdict = judge_call(engine, call) if halted is None else Verdict(refuse_stopped(halted))
    if verdict.refusal is not None:
        entry = write_unsent(call, Status.REFUSED, verdict.refusal.status, arrival.at_s)
        yield Record(msgspec.structs.replace(entry, faults=verdict.faults) if verdict.faults else entry)
        return refuse(dialect, arrival, verdict.refusal)
    own = own_headers(call)
    if LOOP in verdict.faults:
        own["x-bursar-warning"] = LOOP
    finding, faults = (yield from find_answer(engine, call)) if shared else (None, ())
    faults += verdict.faults
    if finding is None:
        return (yield from _make(engine, call, None, own, faults))
    if finding.left:
        yield Record(write_left(call))
        return refusal(dialect, arrival, LEFT)
    if finding.told is not None:
        return (yield from answer_kept(engine, call, finding, finding.told, own))
    own["x-bursar-cache"] = finding.use.value
    return (yield from _make(engine, call, finding, own, faults))


def _make(
    engine: Engine, call: Call, finding: Finding | None, own: dict[str, str], faults: tuple[str, ...]
) -> Life:
    """Make a call to which nothing kept is the answer.

    Args:
        engine: What is known.
        call: The call.
        finding: Where its answer is to be kept, if it is.
        own: Our own headers for the client, as far as they are known.
        faults: What has failed so far.
    """
    cache = CacheUse.OFF if finding is None else finding.use
    call, pin_faults = yield from pin_policy(engine, call)
    faults += pin_faults
    hold = Hold(engine, call)
    recorded_bytes_max = call.policy.response_cache.answer_bytes_max if finding is not None else 0
    attempts = Attempts(engine, call, hold, own, recorded_bytes_max)
    made = yield from attempts.run()
    if isinstance(made, Unsent):
        return (yield from _end_unsent(hold, made, cache))
    ended = _conclude(engine, attempts, made, hold, own) if made.is_settled else None
    if ended is None:
        ended = _unsettled(made)
    elif finding is not None:
        faults += yield from keep_and_share(made.call, finding.key, made.sending, made.answer)
    outcome, entry, reply = ended
    if more := (*faults, *attempts.faults):
        entry = msgspec.structs.replace(entry, faults=(*entry.faults, *more))
    entry = hold.bound(entry)
    if decisions := (*attempts.decisions, *hold.decisions):
        entry = msgspec.structs.replace(entry, decisions=decisions)
    recorded: bool = yield Record(entry, cache)
    yield from hold.settle(outcome.total, answered=entry.status is Status.OK, recorded=recorded)
    return reply


_Ended = tuple[Outcome, Entry, Reply]


def _conclude(
    engine: Engine, attempts: Attempts, made: Tried, hold: Hold, own: dict[str, str]
) -> _Ended | None:
    """Settle a call that was sent, and learn from it; None where that fails."""
    try:
        outcome = settle(made, tuple(attempts.ways))
        entry = write_entry(outcome, routing_tasks=engine.options.routing_tasks)
        own.update(left_headers(hold.left_after(outcome.total)))
        reply = reply_to(outcome, own)
        attempts.learn(outcome)
    except Exception:  # noqa: BLE001 - What was sent is recorded and passed on, whatever we make of it.
        return None
    return outcome, entry, reply


def _end_unsent(hold: Hold, unsent: Unsent, cache: CacheUse) -> Generator[Effect, Any, Reply]:
    """End a call whose client left, or that a budget refuses, before it is sent; a summary may have been."""
    call, plan, why = unsent.call, unsent.plan, unsent.why
    arrival, dialect, summary = call.arrival, call.dialect, plan.summary
    status = Status.ABORTED if isinstance(why, Fault) else Status.REFUSED
    entry = write_unsent(call, status, why.status, arrival.at_s)
    total = nothing_billed(call.request.terms)
    if summary is not None:
        total = add_summary(total, summary)
        entry = with_summary(entry, call, summary, total)
        entry = msgspec.structs.replace(entry, faults=plan.faults)
    recorded: bool = yield Record(hold.bound(entry), cache)
    yield from hold.settle(total, answered=False, recorded=recorded)
    return refusal(dialect, arrival, why) if isinstance(why, Fault) else refuse(dialect, arrival, why)


def _unsettled(tried: Tried) -> _Ended:
    """Record a call that we could not settle, at unknown cost, and pass on what came back."""
    call, sending = tried.call, tried.sending
    bill = unknown_cost(None, call.request.terms)
    unread = msgspec.structs.replace(tried, answer=None, bill=bill)
    outcome = settle(unread, (unread,))
    entry = write_entry(outcome, routing_tasks=frozenset())
    entry = msgspec.structs.replace(entry, faults=(*entry.faults, "settle"))
    last, own = sending.last, own_headers(call)
    if isinstance(last, Whole):
        return outcome, entry, Reply(last.status, {**for_client(last.headers), **own}, last.body)
    if isinstance(last, Ended) and sending.meter is not None:
        return outcome, entry, Reply(200, own, sending.meter.rest())
    return outcome, entry, fault_reply(outcome, own, 502, "the provider's answer did not arrive whole")


def _read(engine: Engine, arrival: Arrival, dialect: Dialect) -> Generator[Effect, Any, Call]:
    """Read and attribute a call, and find its thread.

    Raises:
        BadRequest: Its body or its headers are wrong, or it asks for a tier that there is not.
        NotPermitted: Its key does not allow it.
        UnpricedModel: No price is known for its model, and that is not admitted.
    """
    options = engine.options
    mode = chosen_mode(arrival.headers, options.mode)
    request = yield from finish_reading(dialect.read(arrival.body, engine.memo))
    grant = arrival.grant
    attribution = attribute(arrival.headers, request.user, "" if grant is None else grant.key_id)
    is_complex = says_complex(arrival.headers)
    body, alias = arrival.body, None
    if request.model.startswith(ALIAS_PREFIX):
        request, alias = read_alias(engine, request, None if grant is None else grant.rights)
        body = dialect.write(request, Edits())
    if grant is not None and grant.is_restricted:
        check_use(grant.rights, request.model, attribution.task)
    price = engine.prices.price(request.model, arrival.at_s)
    if price is None and not options.admit_unpriced:
        raise UnpricedModel(request.model)
    place = engine.threads.join(
        attribution, request.prompt.messages, operation_id=arrival.operation_id, at_s=arrival.at_s
    )
    attribution = attribution.in_conversation(place.thread.conversation)
    if options.holdout_per_mille and mode == "optimise" and not asks_mode(arrival.headers):
        mode = "holdout" if is_held_out(attribution, options.holdout_per_mille) else mode
    policy = options.policies.for_agent(attribution.tenant, attribution.agent)
    return Call(
        arrival,
        dialect,
        request,
        attribution,
        mode,
        policy,
        price,
        place,
        body,
        alias,
        is_complex,
    )
