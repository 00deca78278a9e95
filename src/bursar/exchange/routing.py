"""Where a call goes: its tier, the model of it, and where it goes next if that is not enough.

A call is routed where its client asks for an alias (`bursar/auto`, `bursar/TIER`) or names a model that the
operator declared routable. Everything else goes where it says. The model is chosen before any other technique
acts, since nothing can be priced without it.
"""

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from bursar.domain.keys import Rights
from bursar.domain.layout import Layout
from bursar.domain.ledger import Technique
from bursar.domain.tokens import PER_MILLE
from bursar.domain.usage import Usage
from bursar.effects import Effect
from bursar.errors import BadRequest, NotPermitted
from bursar.exchange.bills import Bill
from bursar.exchange.call import Asked, Call
from bursar.exchange.casing import cache_rules
from bursar.exchange.engine import Engine
from bursar.exchange.versions import finish_reading, lay_out_version
from bursar.policy.keys.rights import allows_model
from bursar.policy.routing.choice import Ask, Choice, Difficulty, Reason, choose_tier
from bursar.policy.routing.features import features_of
from bursar.policy.routing.model import score
from bursar.policy.routing.regret import Outlook, Side, change_pays
from bursar.policy.routing.signals import read_signals, score_signals
from bursar.policy.routing.texts import Text, read_text
from bursar.policy.routing.tiers import Tier, alias_names, asked_tier
from bursar.view.routes import Seat
from bursar.wire.asked import read_last_user_text
from bursar.wire.dialect import Edits, Request
from bursar.wire.retargeting import retarget_fields, without_thinking

CHEAP = "cheap"
"""Decision: a call went to another tier than the dearest one first."""

# Names a prompt as it came, beside the same one for another model.
_AS_ASKED = b"asked"

# What an answer is taken to have before any was seen.
_OUTPUT_TOKENS = 300


def read_alias(engine: Engine, request: Request, rights: Rights | None) -> tuple[Request, str]:
    """Put the model that an alias stands for in its place: the one that the call is compared with.

    Args:
        engine: The tiers.
        request: A request that names an alias.
        rights: What the call's key allows; None where it came with none.

    Returns:
        The request, and the tier that it asks for; empty for any.

    Raises:
        BadRequest: There is no such tier, or none at all.
        NotPermitted: The key allows none of the tiers' models.
    """
    tier = asked_tier(request.model) or ""
    book = engine.options.tiers
    tiers = book.of(request.dialect)
    model = book.baseline_of(request.dialect)
    if model is None:
        raise BadRequest(
            f"{request.model[:80]!r} asks for a tier, and none is configured for this API; write [tiers] in "
            "bursar.toml, or name a model",
            place="model",
        )
    if tier and book.find(tier, request.dialect) is None:
        raise BadRequest(
            f"there is no tier {tier[:80]!r} for this API; ask for {alias_names(tiers)}", place="model"
        )
    if rights is not None and not allows_model(rights, model):
        models = [each for tier in tiers for each in tier.models if allows_model(rights, each)]
        if not models:
            raise NotPermitted("this key allows none of the models that may be chosen")
        model = models[-1]
    return _named(request, model), tier


def _named(request: Request, model: str) -> Request:
    fields = {**request.fields, "model": msgspec.json.encode(model)}
    return msgspec.structs.replace(request, fields=fields, model=model)


class Route:
    """Where one call goes.

    Args:
        engine: What is known.
        call: The call, as it was read.
    """

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._came = call
        self._tier: Tier | None = None
        self._first: Choice | None = None
        self._tried: list[str] = []
        self._seat = engine.seats.of(call.place.thread.thread_id) if self._is_routed else None
        self._notes: list[str] = []
        self.call = call
        """The call as it goes out now."""

    @property
    def _is_routed(self) -> bool:
        """Whether the call is one that may go elsewhere."""
        call, options = self._came, self._engine.options
        if call.mode != "optimise" or not call.policy.routing.enabled:
            return False
        return call.alias is not None or call.request.model in options.tiers.routable

    @property
    def tier(self) -> Tier | None:
        """The tier in which it is now; None where it is not routed."""
        return self._tier

    @property
    def has_next(self) -> bool:
        """Whether there is another model to turn to, should this one not be had."""
        tier = self._tier
        return tier is not None and (next(self._models(tier), None) is not None or self._has_own)

    @property
    def _has_own(self) -> bool:
        """Whether the model that the call would have gone to without routing is yet to be tried."""
        return self._came.request.model not in self._tried

    @property
    def decisions(self) -> tuple[str, ...]:
        """What was decided, for the call's entry."""
        first = self._first
        if first is None or self._tier is None:
            return ()
        cheap = (CHEAP,) if self._engine.options.tiers.above(first.tier) is not None else ()
        route = f"routed:{self._tier.name}:{self.call.request.model}"
        return (route, f"tier_by:{first.reason.value}", *cheap, *self._notes)

    def begin(self) -> Generator[Effect, Any, None]:
        """Choose where the call goes first."""
        if not self._is_routed:
            return
        choice = self._choose()
        if choice is None:
            return
        while choice is not None:
            if (yield from self._enter(choice.tier)):
                self._first = Choice(choice.tier, choice.reason)
                return
            above = self._engine.options.tiers.above(choice.tier)
            choice = None if above is None else Choice(above, choice.reason)

    def leave(self) -> None:
        """Leave the call where it would have gone without routing."""
        self._tier = self._first = None
        self.call = self._came

    def lower(self, reason: Reason) -> Generator[Effect, Any, bool]:
        """Move the call one tier down, where that is allowed and pays; returns whether it moved."""
        tier, options = self._tier, self._came.policy.routing
        if tier is None or self._first is None or not options.prefers_cheaper or len(self._tried) > 1:
            return False
        below = self._engine.options.tiers.below(tier)
        if below is None or self._first.reason is Reason.ASKED or not self._may_leave(below):
            return False
        self._tried.clear()
        if not (yield from self._enter(below)):
            return False
        self._first = Choice(below, reason)
        return True

    def next_model(self) -> Generator[Effect, Any, bool]:
        """Turn to the tier's next model, after one that could not be had; returns whether there is one."""
        tier = self._tier
        if tier is None:
            return False
        if not (yield from self._enter(tier)):
            return self.give_up()
        self._notes.append(f"fallback:{self.call.request.model}")
        return True

    def raise_tier(self, trigger: str) -> Generator[Effect, Any, bool]:
        """Turn to the next dearer tier, after an answer that was not good enough."""
        above = self._tier and self._engine.options.tiers.above(self._tier)
        if not above or not (yield from self._enter(above)):
            return False
        self._notes.append(f"escalated:{trigger}")
        return True

    def give_up(self) -> bool:
        """Turn to the model that the call would have gone to without routing, if it has not been tried."""
        model = self._came.request.model
        if self._tier is None or not self._has_own:
            return False
        self._tried.append(model)
        self.call = self._came
        self._notes.append(f"fallback:{model}")
        return True

    def settle(self, delivered: Call, usage: Usage | None, total: Bill) -> None:
        """Learn where the call went, and what came of it.

        Args:
            delivered: The call, as it went where its answer comes from.
            usage: What that took; None where unknown.
            total: What the call cost.
        """
        first, engine = self._first, self._engine
        if self._tier is None or first is None:
            return
        model = delivered.request.model
        tier = engine.options.tiers.holding(model, delivered.dialect.name) or self._tier
        engine.seats.take(
            delivered.place.thread.thread_id,
            Seat(
                model=model,
                tier=tier.name,
                foreign_messages=self._foreign_messages(model),
                prompt_tokens=usage.prompt_tokens if usage is not None else 0,
                output_tokens=usage.output if usage is not None else _OUTPUT_TOKENS,
                cheaper_wishes=self._wishes + 1 if first.reason is Reason.THREAD else 0,
            ),
        )
        saved_nusd = total.shares.get(Technique.ROUTING, 0)
        engine.gains.add(self._kind(first.tier), saved_nusd, delivered.arrival.at_s)

    def _choose(self) -> Choice | None:
        """Choose the tier: what the call needs, less what a change would cost its thread."""
        engine, call = self._engine, self._came
        book, who = engine.options.tiers, call.attribution
        ask = Ask(call.dialect.name, call.alias or "", who.task, call.is_complex)
        choice = choose_tier(book, ask, call.policy.routing, self._judge)
        at_s = call.arrival.at_s
        while choice is not None and choice.reason is not Reason.ASKED:
            above = book.above(choice.tier)
            if above is None or not engine.gains.is_losing(self._kind(choice.tier), at_s):
                break
            choice = Choice(above, Reason.ESCALATIONS)
        engine.routed_lengths.arrive((who.tenant, who.agent), call.place.turn)
        seat = self._seat
        at = None if seat is None or choice is None else book.find(seat.tier, call.dialect.name)
        if choice is None or at is None or choice.reason.is_binding or not book.is_cheaper(choice.tier, at):
            return choice
        return choice if self._may_leave(choice.tier) else Choice(at, Reason.THREAD)

    def _kind(self, tier: Tier) -> tuple[str, str, str, str]:
        who = self._came.attribution
        return who.tenant, who.agent, who.task, tier.name

    def _judge(self) -> Difficulty:
        """Say how hard the call looks."""
        call = self._came
        text = read_text(read_last_user_text(call.request))
        learned = self._judge_learned(text) if call.policy.routing.learns else None
        if learned is not None:
            return learned
        signals = read_signals(
            call.request, text, prompt_tokens=self._asked_layout().total_tokens, turn=call.place.turn
        )
        return Difficulty(score_signals(signals))

    def _judge_learned(self, text: Text) -> Difficulty | None:
        """Ask the learned model, where there is one for the dialect's tiers."""
        learned, book = self._engine.learned, self._engine.options.tiers
        if learned is None:
            return None
        card, dialect = learned.model.card, self._came.dialect.name
        weak, strong = book.holding(card.weak, dialect), book.holding(card.strong, dialect)
        if weak is None or strong is None:
            return None
        value = score(learned.model, features_of(text))
        return Difficulty(value, strong if value >= learned.threshold else weak)

    def _asked_layout(self) -> Layout:
        return lay_out_version(self._engine, self._came, self._came.request, _AS_ASKED)

    def _may_leave(self, tier: Tier) -> bool:
        """Whether a thread may change to a cheaper tier: nothing holds it, or the change pays."""
        engine, call, seat = self._engine, self._came, self._seat
        if seat is None or not engine.options.tiers.keeps_caches or seat.model in tier.models:
            return True
        model = next(self._models(tier), None)
        stay, go = self._side(seat.model), None if model is None else self._side(model)
        if stay is None or go is None:
            return False
        who, place = call.attribution, call.place
        grown = stay.prompt_tokens - seat.prompt_tokens - seat.output_tokens
        # What would have been enough lately is expected to be so for as long again, and not for ever.
        calls = min(engine.routed_lengths.expect((who.tenant, who.agent), place.turn), self._wishes + 1)
        outlook = Outlook(calls, max(grown, 0) + seat.output_tokens, seat.output_tokens, returns=True)
        return change_pays(stay, go, outlook)

    @property
    def _wishes(self) -> int:
        return 0 if self._seat is None else self._seat.cheaper_wishes

    def _side(self, model: str) -> Side | None:
        """Return a model as the thread's next call would meet it; None where its price is unknown."""
        engine, came = self._engine, self._came
        price = engine.prices.price(model, came.arrival.at_s)
        if price is None:
            return None
        request = _named(came.request, model)
        call = msgspec.structs.replace(came, request=request, price=price)
        layout = lay_out_version(engine, call, request, model.encode("utf-8", "surrogatepass"))
        rules = cache_rules(engine, call)
        tokens = layout.total_tokens
        keeps = rules is not None and tokens >= rules.minimum_tokens
        block = engine.sent.deepest(layout, len(layout.chain), came.arrival.at_s) if keeps else None
        held = 0 if block is None else layout.ends[block]
        return Side(price.rates_for(tokens), tokens, held, keeps)

    def _models(self, tier: Tier) -> Iterator[str]:
        """Yield a tier's models that may be tried yet, the thread's own first."""
        grant, seat = self._came.arrival.grant, self._seat
        own = seat.model if seat is not None else ""
        for model in sorted(tier.models, key=lambda model: model != own):
            if model not in self._tried and (grant is None or allows_model(grant.rights, model)):
                yield model

    def _enter(self, tier: Tier) -> Generator[Effect, Any, bool]:
        """Turn to the first model of a tier that can serve the call; returns whether there is one."""
        for model in list(self._models(tier)):
            self._tried.append(model)
            call = yield from self._retarget(model)
            if call is not None:
                self._tier, self.call = tier, call
                return True
        return False

    def _retarget(self, model: str) -> Generator[Effect, Any, Call | None]:
        """Return the call for another model; None where that cannot serve it."""
        engine, came = self._engine, self._came
        price = engine.prices.price(model, came.arrival.at_s)
        window = engine.windows.find(came.dialect.name, model)
        if price is None and not engine.options.admit_unpriced:
            return None
        fields = retarget_fields(came.request, model, window)
        if fields is None or (window is not None and not self._fits(window.context_tokens)):
            return None
        as_came = came.request.fields["messages"]
        messages = without_thinking(came.request, self._foreign_messages(model))
        if messages is None:
            return None
        if model == came.request.model and messages is as_came:
            return came
        request = msgspec.structs.replace(came.dialect.with_fields(came.request, fields), model=model)
        if messages is not as_came:
            request = yield from finish_reading(came.dialect.reread(request, messages, engine.memo))
        body = came.dialect.write(request, Edits())
        asked = Asked(came.request, came.price, _AS_ASKED)
        return msgspec.structs.replace(came, request=request, price=price, body=body, asked=asked)

    def _foreign_messages(self, model: str) -> int:
        """Return how many of the call's first messages were answered by other models than this one."""
        came, seat = self._came, self._seat
        if seat is None:
            # Who answered is not known; a client that names its model has most likely done so before.
            is_own = not came.place.turn or (came.alias is None and model == came.request.model)
            return 0 if is_own else len(came.request.prompt.messages)
        return seat.foreign_messages if seat.model == model else len(came.request.prompt.messages)

    def _fits(self, context_tokens: int) -> bool:
        """Whether a window holds the prompt, as far as its count for the asked model says."""
        upstream, model = self._came.arrival.upstream, self._came.request.model
        factor = self._engine.calibration.factor_per_mille(upstream, model)
        return self._asked_layout().total_tokens * factor <= context_tokens * PER_MILLE
