"""Having a summary written, as an attempt of the call that needs it: asked for, sent, priced."""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.ledger import CostBasis
from bursar.domain.prices import Price, Terms, cost, total_nusd
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import PER_MILLE
from bursar.domain.usage import Usage
from bursar.effects import Count, Effect, Send, Sent, Unreachable, Whole
from bursar.errors import UnpricedClass
from bursar.exchange.bills import Bill, nothing_billed, unknown_cost
from bursar.exchange.bounding import bound
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.exchange.holding import Hold
from bursar.policy.budgets.worst_case import Bounds, Sending
from bursar.policy.history.decision import SummaryOffer
from bursar.policy.history.options import HistoryOptions
from bursar.policy.history.summary import SUMMARY_INSTRUCTIONS, price_summary
from bursar.ports import UpstreamRequest
from bursar.wire import raw_json
from bursar.wire.condensing.asking import SummaryRequest, read_summary, write_summary_request
from bursar.wire.dialect import Answer
from bursar.wire.extras import NO_EXTRAS

SUMMARY_TASK = "history_summary"
"""The task of a request for a summary, where the upstream is told tasks."""

# More than this, a summary does not do justice to.
_TEXT_CHARS_MAX = 200_000
# Of the summariser's window, what may be filled; the text's tokens are not counted before it is cut.
_CHARS_PER_TOKEN = 2

# The client waits for it.
_TIMEOUT_S = 120.0

# What belongs to the client's own request only.
_NOT_FOR_SUMMARY = frozenset(("idempotency-key", "x-bursar-conversation"))

_STANDARD = Terms()

# As they stand in a body.
_INSTRUCTIONS = raw_json.encode(SUMMARY_INSTRUCTIONS)


class Summariser(msgspec.Struct, frozen=True, gc=False):
    """A model that can summarise for a call.

    Attributes:
        model: Its id.
        price: Its price.
        tokens_max: How long a summary may be.
        chars_max: How much it is given to read.
        reasons: Whether it always reasons (OpenAI).
    """

    model: str
    price: Price
    tokens_max: int
    chars_max: int
    reasons: bool

    def offer(self, tokens: int) -> SummaryOffer:
        """Say what a summary of so many tokens of a prompt will be and cost, at most.

        The longest part of most is results, of which a summariser gets to read the beginning only.
        """
        read_tokens = min(tokens, self.chars_max // _CHARS_PER_TOKEN)
        request = self.request("")
        offer = price_summary(read_tokens, request.output_tokens_max, self.price.rates_for(read_tokens))
        return msgspec.structs.replace(offer, tokens=self.tokens_max)

    def request(self, text: str) -> SummaryRequest:
        """Ask for a summary of a text."""
        return SummaryRequest(self.model, SUMMARY_INSTRUCTIONS, text, self.tokens_max, self.reasons)


class Summarised(msgspec.Struct, frozen=True, gc=False):
    """How it went.

    Attributes:
        model: The model that was asked.
        sent: How its attempt ended.
        answer: What it answered; None for nothing.
        bill: What it cost.
        summary: The summary; None where there is none.
    """

    model: str
    sent: Sent
    answer: Answer | None
    bill: Bill
    summary: str | None


def find_summariser(engine: Engine, call: Call, options: HistoryOptions) -> Summariser | None:
    """Return the model that summarises for a call; None where none does, or its price is unknown."""
    model, dialect = options.summary_model, call.dialect.name
    if model is None or not engine.windows.may_serve(dialect, model):
        return None
    price = engine.prices.price(model, call.arrival.at_s)
    if price is None:
        return None
    window, tokens_max, chars_max = (
        engine.windows.find(dialect, model),
        options.summary_tokens_max,
        _TEXT_CHARS_MAX,
    )
    if window is not None:
        tokens_max = min(tokens_max, window.output_tokens_max)
        chars_max = min(chars_max, max(window.context_tokens - 2 * tokens_max, 0) * _CHARS_PER_TOKEN)
    return Summariser(model, price, tokens_max, chars_max, window is not None and window.reasons)


def summarise(
    engine: Engine, call: Call, summariser: Summariser, text: str, hold: Hold
) -> Generator[Effect, Any, Summarised | None]:
    """Have a text summarised, once; None where a budget does not allow it.

    Args:
        engine: Ratios, and how its provider is called.
        call: The call whose attempt it is.
        summariser: The model.
        text: What it is to read.
        hold: What the call holds.
    """
    arrival, asked = call.arrival, summariser.request(text)
    policy = engine.options.upstreams[arrival.upstream]
    request = UpstreamRequest(
        upstream=arrival.upstream,
        method="POST",
        path=arrival.path,
        headers=_headers(call),
        body=write_summary_request(call.dialect.name, asked),
        # Whatever comes of it, the call itself must still have its time.
        timeout_s=min(policy.timeout_s, _TIMEOUT_S, policy.deadline_s / 4),
    )
    if hold.is_needed and (yield from hold.cover(_bounds(engine, call, asked, request.body))) is not None:
        return None
    sent: Sent = yield Send(request, None, lambda _: None)
    is_answer = isinstance(sent, Whole) and sent.status == 200
    answer = call.dialect.answer(sent.body) if is_answer and isinstance(sent, Whole) else None
    bill = yield from _bill(engine, summariser, asked, sent, answer)
    summary = None
    if answer is not None and answer.complete and isinstance(sent, Whole):
        summary = read_summary(call.dialect.name, sent.body)
    hold.took(bill)
    return Summarised(summariser.model, sent, answer, bill, summary)


def _bounds(engine: Engine, call: Call, asked: SummaryRequest, body: bytes) -> Bounds:
    """Bound what a summary takes; its text by its bytes, since nobody has counted it yet."""
    sending = Sending(
        body_bytes=len(body),
        counted_tokens=len(body),
        factor_per_mille=PER_MILLE,
        pieces=2,
        output_tokens_max=asked.output_tokens_max,
        writes=(),
        extras=NO_EXTRAS,
    )
    return bound(engine, call, asked.model, _STANDARD, sending)


def is_for_summary(request: UpstreamRequest) -> bool:
    """Whether a request was made here, and not by a client."""
    return _INSTRUCTIONS in request.body


def _headers(call: Call) -> dict[str, str]:
    headers = {name: value for name, value in call.arrival.outgoing.items() if name not in _NOT_FOR_SUMMARY}
    if "x-bursar-operation-id" in headers:
        headers["x-bursar-task"] = SUMMARY_TASK
    return headers


def _bill(
    engine: Engine, summariser: Summariser, asked: SummaryRequest, sent: Sent, answer: Answer | None
) -> Generator[Effect, Any, Bill]:
    """Price an attempt; where the provider did not say what it used, by our own count of what was sent."""
    terms = (answer.terms if answer is not None else None) or _STANDARD
    if isinstance(sent, Whole) and sent.status != 200:
        return nothing_billed(terms)
    if isinstance(sent, Unreachable) and not sent.sent:
        return nothing_billed(terms)
    if answer is not None and answer.usage is not None:
        return _priced(summariser, answer.usage, answer.usage, terms, CostBasis.MEASURED)
    received = answer.received if answer is not None else ""
    counts: list[int] = yield Count((asked.instructions, asked.text, received))
    ratios = engine.ratios.ratios(summariser.model)
    tokens = [ratios.convert(count, ContentClass.CHAT) for count in counts]
    # How long an answer became that nobody saw is unknown, and that is not zero.
    output = tokens[2] if answer is not None else asked.output_tokens_max
    usage = Usage(input=tokens[0] + tokens[1], output=output)
    most = msgspec.structs.replace(usage, output=max(usage.output, asked.output_tokens_max))
    return _priced(summariser, usage, most, terms, CostBasis.ESTIMATED)


def _priced(summariser: Summariser, usage: Usage, most: Usage, terms: Terms, basis: CostBasis) -> Bill:
    """Price a usage, and the most that it can have been."""
    try:
        lines = cost(usage, summariser.price, terms)
        most_nusd = total_nusd(cost(most, summariser.price, terms))
    except UnpricedClass:
        return unknown_cost(usage, terms)
    return Bill(usage, terms, lines, total_nusd(lines), basis, most_nusd, 0)
