"""The provider double without a network: a call and a time in, an answer out, and the bill."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson
from msgspec import structs

from bursar.cachemodel.openai import routing_scope
from bursar.cachemodel.outcome import CacheOutcome
from bursar.cachemodel.provider import ProviderCache
from bursar.cachemodel.rules import CacheRuleBook, CacheRules
from bursar.domain.price_book import PriceBook
from bursar.domain.prices import cost, total_nusd
from bursar.domain.tokens import RatioBook
from bursar.domain.usage import Usage
from bursar.double.anthropic.face import AnthropicFace
from bursar.double.bill import Bill, BillRow
from bursar.double.calls import Charge, DoubleAnswer, DoubleCall, DoubleOptions, Event
from bursar.double.draws import Draw, Draws
from bursar.double.faces import Ask, Face, Reply
from bursar.double.labels import LabelBook
from bursar.double.listing import list_models
from bursar.double.models import ModelCatalogue, ModelLimits
from bursar.double.openai.face import OpenAIFace
from bursar.double.prompts import CountedPrompt, PromptCounter
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import JsonObject
from bursar.double.speaking import Speaker, Spoken
from bursar.double.transcripts import TranscriptBook
from bursar.errors import BadRequest, UnpricedClass
from bursar.ports import Tokenizer

COUNT_PATH = "/v1/messages/count_tokens"
_ANTHROPIC = AnthropicFace()
FACES: Mapping[str, Face] = {"/v1/messages": _ANTHROPIC, "/v1/chat/completions": OpenAIFace()}
"""The APIs' faces, by the path that calls a model."""

_OPERATION_HEADER = "x-bursar-operation-id"
_CONVERSATION_HEADER = "x-bursar-conversation"
_TURN_HEADER = "x-bursar-turn"


@dataclass(frozen=True, slots=True)
class Provisions:
    """What a double works from.

    Attributes:
        prices: What models cost.
        rules: How their caches behave.
        ratios: How they count.
        models: Which are served, within which limits.
        tokenizer: Counts by o200k.
        transcripts: Recorded answers.
        labels: Right answers to items.
    """

    prices: PriceBook
    rules: CacheRuleBook
    ratios: RatioBook
    models: ModelCatalogue
    tokenizer: Tokenizer
    transcripts: TranscriptBook = field(default_factory=TranscriptBook)
    labels: LabelBook = field(default_factory=LabelBook)


@dataclass(slots=True)
class _Hearing:
    """A call while it is being answered."""

    call: DoubleCall
    face: Face
    number: int
    draw: Draw
    now_s: float
    model: str = ""
    conversation: str = ""

    @property
    def name(self) -> str:
        return self.draw.root.hex()[:24]


class ProviderDouble:
    """A provider that spends nothing. Not thread-safe.

    Args:
        provisions: What it works from.
        options: How it behaves.
    """

    def __init__(self, provisions: Provisions, options: DoubleOptions | None = None) -> None:
        self._has = provisions
        self._options = options or DoubleOptions()
        self._counter = PromptCounter(provisions.tokenizer, provisions.ratios, self._options.token_skew)
        self._speaker = Speaker(provisions.transcripts, provisions.labels, self._counter, self._options.seed)
        self._cache = ProviderCache()
        self.reset()

    def reset(self) -> None:
        """Forget the bill, the caches, and which bytes came before."""
        self.bill = Bill()
        self._cache.clear()
        self._draws = Draws(self._options.seed)
        self._calls = 0

    def respond(self, call: DoubleCall, now_s: float) -> DoubleAnswer:
        """Answer a call to a model.

        Nothing is billed before `settle`, and nothing can be read from the cache before `begun` of the
        answer was called.

        Args:
            call: Its path is one of `FACES`.
            now_s: When it arrived.
        """
        self._calls += 1
        hearing = _Hearing(call, FACES[call.path], self._calls, self._draws.start(call.body), now_s)
        hearing.conversation = call.headers.get(_CONVERSATION_HEADER, "")
        try:
            return self._answer(hearing)
        except Refused as refused:
            return self._refuse(hearing, refused.refusal)

    def settle(
        self, answer: DoubleAnswer, *, events_sent: int | None = None, aborted: bool = False
    ) -> BillRow:
        """Bill an answer, once.

        Args:
            answer: The answer.
            events_sent: Of a stream: how many events had gone out when it ended; None for all. Output is
                billed as generated up to the last of them. A whole answer is billed whole even if nobody
                waited for it.
            aborted: Whether the client left before the end.
        """
        usage, cost_nusd = Usage(), 0
        if answer.charge is not None:
            usage = _used(answer, events_sent)
            lines = cost(usage, answer.charge.price, answer.charge.terms)
            cost_nusd = total_nusd(lines)
        row = BillRow(
            number=answer.number,
            operation_id=answer.operation_id,
            conversation=answer.conversation,
            model=answer.model,
            status=answer.status,
            usage=usage,
            cost_nusd=cost_nusd,
            aborted=aborted,
            cut=answer.cut_after is not None and not aborted,
            injected=answer.injected,
        )
        self.bill.add(row)
        return row

    def play(self, call: DoubleCall, now_s: float) -> tuple[DoubleAnswer, BillRow]:
        """Answer a call, begin and bill it at once: for those who have no network in between."""
        answer = self.respond(call, now_s)
        answer.begun(now_s)
        return answer, self.settle(answer)

    def count_tokens(self, call: DoubleCall, now_s: float) -> DoubleAnswer:
        """Answer Anthropic's `count_tokens`, which is free."""
        hearing = _Hearing(call, _ANTHROPIC, 0, Draw(b""), now_s)
        try:
            _ANTHROPIC.credential(call.headers)
            body = _body(hearing)
            _ANTHROPIC.check_count(body, self._limits(hearing, body))
            prompt = self._read(hearing, body, b"", None)
        except Refused as refused:
            return self._refuse(hearing, refused.refusal)
        return DoubleAnswer(0, 200, _JSON, orjson.dumps({"input_tokens": prompt.tokens}))

    def list_models(self, headers: Mapping[str, str]) -> DoubleAnswer:
        """Answer `GET /v1/models`, in Anthropic's schema where its version header is there."""
        face: Face = _ANTHROPIC if "anthropic-version" in headers else FACES["/v1/chat/completions"]
        try:
            face.credential(headers)
        except Refused as refused:
            hearing = _Hearing(DoubleCall("", headers, b""), face, 0, Draw(b""), 0.0)
            return self._refuse(hearing, refused.refusal)
        return DoubleAnswer(0, 200, _JSON, list_models(face.dialect, self._has.models))

    def _answer(self, hearing: _Hearing) -> DoubleAnswer:
        face, draw = hearing.face, hearing.draw
        credential = face.credential(hearing.call.headers)
        body = _body(hearing)
        limits = self._limits(hearing, body)
        ask = face.check(body, limits, hearing.call.headers)
        if hearing.call.tier:
            ask = replace(ask, terms=structs.replace(ask.terms, tier=hearing.call.tier))
        hearing.conversation = hearing.conversation or ask.conversation
        rules = self._has.rules.rules(ask.model, hearing.now_s)
        scope = routing_scope(f"{face.dialect}\0{credential}\0{ask.model}".encode(), ask.cache_key)
        prompt = self._read(hearing, body, scope, rules)
        if prompt.tokens > limits.context_tokens:
            raise Refused(face.too_long(prompt.tokens, limits))
        if draw.happens("error", self._options.error_rate):
            return self._refuse(hearing, face.failure(draw.number("failure")), injected=True)
        if draw.happens("evict", self._options.evict_rate):
            self._cache.evict(prompt.prefixes)
        outcome = self._cache.look(prompt.prefixes, prompt.marks, rules, hearing.now_s, ask.cache_options)
        spoken = self._speaker.speak(
            ask,
            turn=_turn(hearing.call.headers, ask.turn),
            conversation=hearing.conversation,
            prompt=prompt.name,
            call_id=face.call_id(hearing.name),
        )
        reply = _reply(hearing, ask, outcome, spoken)
        charge = self._charge(face, reply, hearing.now_s)

        def begun(at_s: float) -> None:
            self._cache.keep(prompt.prefixes, outcome, rules, at_s)

        return self._deliver(hearing, reply, charge, begun)

    def _limits(self, hearing: _Hearing, body: JsonObject) -> ModelLimits:
        model: Any = body.get("model")
        if isinstance(model, str):
            hearing.model = model
            limits = self._has.models.find(hearing.face.dialect, model)
            if limits is not None and self._has.prices.price(model, hearing.now_s) is not None:
                return limits
        raise Refused(hearing.face.unknown_model(body))

    def _read(
        self, hearing: _Hearing, body: JsonObject, scope: bytes, rules: CacheRules | None
    ) -> CountedPrompt:
        try:
            return self._counter.read(hearing.face.dialect, hearing.call.body, body, scope, rules)
        except BadRequest as error:
            raise Refused(hearing.face.malformed(str(error))) from None

    def _charge(self, face: Face, reply: Reply, now_s: float) -> Charge:
        price = self._has.prices.price(reply.ask.model, now_s)
        if price is None:
            raise Refused(face.unserved_tier(reply.ask))
        try:
            cost(reply.usage, price, reply.ask.terms)
        except UnpricedClass:
            raise Refused(face.unserved_tier(reply.ask)) from None
        return Charge(reply.usage, reply.ask.terms, price)

    def _deliver(
        self, hearing: _Hearing, reply: Reply, charge: Charge, begun: Callable[[float], None]
    ) -> DoubleAnswer:
        options, draw = self._options, hearing.draw
        begins_at_s = options.latency_s + options.first_token_s
        pace_s = 1 / options.tokens_per_s if options.tokens_per_s else 0.0
        headers = dict(hearing.face.request_headers(hearing.name))
        answer = DoubleAnswer(
            number=hearing.number,
            status=200,
            headers=headers | (_STREAM if reply.ask.stream else _JSON),
            begins_at_s=begins_at_s,
            ends_at_s=begins_at_s + reply.usage.output_tokens * pace_s,
            operation_id=hearing.call.headers.get(_OPERATION_HEADER, ""),
            conversation=hearing.conversation,
            model=hearing.model,
            charge=charge,
            begun=begun,
        )
        cut = draw.happens("cut", options.cut_rate)
        if not reply.ask.stream:
            body = hearing.face.whole(reply)
            cut_after = 1 + draw.below("cut at", len(body) - 1) if cut else None
            return replace(answer, body=body, cut_after=cut_after)
        events = tuple(
            Event(data, begins_at_s + tokens * pace_s, tokens) for data, tokens in hearing.face.events(reply)
        )
        cut_after = 1 + draw.below("cut at", len(events) - 1) if cut else None
        return replace(answer, events=events, cut_after=cut_after)

    def _refuse(self, hearing: _Hearing, refusal: Refusal, *, injected: bool = False) -> DoubleAnswer:
        name = hearing.name
        return DoubleAnswer(
            number=hearing.number,
            status=refusal.status,
            headers={**_JSON, **hearing.face.request_headers(name), **refusal.headers},
            body=hearing.face.error(refusal, name),
            begins_at_s=self._options.latency_s,
            ends_at_s=self._options.latency_s,
            operation_id=hearing.call.headers.get(_OPERATION_HEADER, ""),
            conversation=hearing.conversation,
            model=hearing.model,
            injected=injected,
        )


_JSON = {"content-type": "application/json"}
_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


def _body(hearing: _Hearing) -> JsonObject:
    try:
        body: Any = orjson.loads(hearing.call.body)
    except orjson.JSONDecodeError as error:
        raise Refused(hearing.face.malformed(str(error))) from None
    if not isinstance(body, dict):
        raise Refused(hearing.face.malformed("expected an object"))
    return cast("JsonObject", body)


def _turn(headers: Mapping[str, str], turn: int) -> int:
    stated = headers.get(_TURN_HEADER, "")
    return int(stated) if stated.isascii() and stated.isdigit() else turn


def _reply(hearing: _Hearing, ask: Ask, outcome: CacheOutcome, spoken: Spoken) -> Reply:
    usage = outcome.usage(
        outcome.total_tokens, spoken.output_tokens * ask.choices, spoken.reasoning_tokens * ask.choices
    )
    counted = spoken.speech.counted
    if counted is not None:
        usage = structs.replace(usage, web_search=counted.web_searches)
    elif ask.searches_max:
        usage = structs.replace(
            usage, web_search=1 + hearing.draw.below("searches", min(2, ask.searches_max))
        )
    return Reply(hearing.name, hearing.now_s, ask, spoken.speech, spoken.reasoning, usage)


def _used(answer: DoubleAnswer, events_sent: int | None) -> Usage:
    """Return what was used by the time an answer ended."""
    charge = answer.charge
    if charge is None:
        return Usage()
    if not answer.events:
        return charge.usage
    sent = len(answer.events) if events_sent is None else events_sent
    if answer.cut_after is not None:
        sent = min(sent, answer.cut_after)
    generated = answer.events[sent - 1].output_tokens if sent else 0
    reasoned = min(generated, charge.usage.reasoning)
    return structs.replace(charge.usage, reasoning=reasoned, output=generated - reasoned)
