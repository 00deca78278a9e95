"""What one attempt of a call can take at most, in nanodollars and in tokens.

Prices come from the same book, steps, tiers and geographies as the bill's (`domain.prices`). Every token of
the prompt counts at the dearest class that it can be billed under, every token of the answer at the dearer
of output and reasoning, each at its price rounded up to a whole nanodollar: however a provider splits the
tokens into lines, and rounds these, the bill is not above.

The prompt's tokens are bounded twice:

- *far*: a token stands for at least a byte, so a body has at most as many as bytes. It holds whatever the
  provider's tokenizer makes of the text, and is some four times what will be used.
- *near*: our own count, corrected by what the provider reported, and a margin on it. It holds while the
  provider's count stays within that margin.

Which of the two is held depends on how much room the limits leave (`Bounds.for_room`). Whoever reserves
keeps, per counter, the room (limit − settled − held) that its last answer from the store left (`Held.levels`
or `Exceeded.level`), and asks with that: one round trip. A counter that was never seen counts as near: its
first call is held by our count, and the margin is all that it may be wrong by. Where the levels were stale,
so that the far bound was refused (`Exceeded`), the near one may be tried: a second round trip, next to a
limit only.

What is not bounded is None in the result, with the reason; it is never taken for zero.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from bursar.cachemodel.prompts import CacheOptions
from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.money import divide_up
from bursar.domain.prices import Price, Terms
from bursar.domain.prompt import Mark
from bursar.domain.reservations import Unit
from bursar.domain.tokens import PER_MILLE, TokenRatios, byte_bound
from bursar.domain.usage import PROMPT_CLASSES, ServerTool, TokenClass
from bursar.domain.windows import Window
from bursar.errors import UnpricedClass
from bursar.policy.budgets.dearest import DearestTokens
from bursar.policy.budgets.standing import Room
from bursar.wire.extras import NO_EXTRAS, Extras

FAR_FACTOR = 20
"""A limit is far from a call that could be made so many times within what is left of it."""

BATCH = "batch"

# Rates are per million tokens, factors in millionths.
_RATE_DENOMINATOR = 10**12
_REQUESTS_PER_FEE = 1000


class Maxima(msgspec.Struct, frozen=True):
    """What one API adds at most for what a request's own bytes do not show. Data, with a source.

    Attributes:
        spare_tokens: Once per request, for what is added differently from how we count it.
        image_tokens: An image.
        page_tokens: A page of a document, its text and its picture.
        pages: Pages of a document.
        page_bytes: The least that a page takes in a request.
        provider_tool_tokens: A tool that the provider defines.
        rounds: How often the model is asked within one request whose tools the provider runs.
        uses: How often such a tool runs where the request sets no limit.
        result_tokens: What one use adds to the prompt.
    """

    spare_tokens: int
    image_tokens: int
    page_tokens: int
    pages: int
    page_bytes: int
    provider_tool_tokens: int
    rounds: int
    uses: Mapping[ServerTool, int]
    result_tokens: int


class Sending(msgspec.Struct, frozen=True, gc=False):
    """What one attempt sends, as far as it bounds what it takes.

    Attributes:
        body_bytes: Length of the body.
        counted_tokens: Our count of its prompt, overhead included.
        factor_per_mille: The provider's count over ours, as far as that was learned.
        pieces: Messages and system pieces.
        output_tokens_max: Its output limit for one answer; None where it states none.
        writes: The classes of what it may write to the provider's cache (`write_classes`).
        extras: What it asks for besides.
    """

    body_bytes: int
    counted_tokens: int
    factor_per_mille: int
    pieces: int
    output_tokens_max: int | None
    writes: tuple[TokenClass, ...]
    extras: Extras


class ModelBounds(msgspec.Struct, frozen=True, gc=False):
    """What is known of the model that is sent to, and of its API.

    Attributes:
        price: Its price; None where none is known.
        terms: What the request is billed under.
        ratios: Its tokens per o200k token.
        window: How long its prompts and answers may be; None where unknown.
        maxima: Its API's.
        dearest: What tokens can cost at most, as far as it was worked out before.
    """

    price: Price | None
    terms: Terms
    ratios: TokenRatios
    window: Window | None
    maxima: Maxima
    dearest: DearestTokens = msgspec.field(default_factory=DearestTokens)


class Caution(msgspec.Struct, frozen=True):
    """The operator's settings.

    Attributes:
        margin_per_mille: What the provider may count above our own corrected count, in thousandths.
        unpriced_nusd: What one attempt on a model without a price is taken to cost at most; None where
            such a call has no bound.
    """

    margin_per_mille: int = 100
    unpriced_nusd: int | None = None


class WorstCase(msgspec.Struct, frozen=True, gc=False):
    """The most that one attempt can take.

    Attributes:
        prompt_tokens: Of the prompt; None where nothing bounds it.
        output_tokens: Of the answers, reasoning included; None likewise.
        nusd: In nanodollars; None where tokens are not bounded or have no price.
        reason: Why something is None, for a person; empty where all is known.
    """

    prompt_tokens: int | None
    output_tokens: int | None
    nusd: int | None
    reason: str = ""

    @property
    def tokens(self) -> int | None:
        """All tokens, or None where they are not bounded."""
        if self.prompt_tokens is None or self.output_tokens is None:
            return None
        return self.prompt_tokens + self.output_tokens

    def of(self, unit: Unit) -> int | None:
        """Return the most that a counter of a unit takes; a call is one turn, request and open call."""
        if unit is Unit.NUSD:
            return self.nusd
        return self.tokens if unit is Unit.TOKENS else 1


class Bounds(msgspec.Struct, frozen=True, gc=False):
    """Both bounds of one attempt.

    Attributes:
        far: The far one.
        price_near: Works out the near one, which is seldom needed; None where the two are the same.
    """

    far: WorstCase
    price_near: Callable[[], WorstCase] | None = None

    @property
    def near(self) -> WorstCase:
        """The near one, nowhere above the far one."""
        return self.far if self.price_near is None else self.price_near()

    def for_room(self, room: Room | None) -> WorstCase:
        """Return the bound to hold.

        Args:
            room: What was last known to be left of the limits that the call falls under; None for nothing.
        """
        if self.price_near is None:
            return self.far
        if room is None or not (_is_far(room.nusd, self.far.nusd) and _is_far(room.tokens, self.far.tokens)):
            return self.near
        return self.far


def _is_far(room: int | None, amount: int | None) -> bool:
    """Whether a limit with so much room is far from an amount; without a limit, all are."""
    return room is None or (amount is not None and is_far(room, amount))


def is_far(room: int, amount: int) -> bool:
    """Whether a limit with so much room is far from an amount."""
    return room >= FAR_FACTOR * amount


def write_classes(
    marks: Iterable[Mark], options: CacheOptions, rules: CacheRules | None, *, unseen: bool = False
) -> tuple[TokenClass, ...]:
    """Return the classes under which a prompt may be written to its provider's cache.

    Args:
        marks: The cache marks in what is sent.
        options: What it says about caching as a whole.
        rules: How the model's cache behaves; None where that is not known.
        unseen: Whether marks may stand in it that we do not see.
    """
    if rules is None:
        return PROMPT_CLASSES
    if unseen:
        return tuple(rules.write_classes.values())
    ttls = {rules.ttl(mark.ttl) for mark in marks}
    if rules.kind is CacheKind.OPENAI_MARKS and (options.implicit or ttls):
        # Usage does not tell the lifetimes of these writes apart; mixed, all are taken for the dearer.
        ttls.add(rules.ttl(options.ttl))
    return tuple([rules.write_classes[ttl] for ttl in ttls])


def bound_attempt(sending: Sending, model: ModelBounds, caution: Caution) -> Bounds:
    """Bound what one attempt of a call takes."""
    far, near, reason = _prompt_tokens(sending, model, caution)
    output, output_reason = _output_tokens(sending, model.window)
    reason = reason or output_reason
    uses = _uses(sending.extras, model.maxima)
    far_case = _priced(WorstCase(far, output, None, reason), sending, model, caution, uses)
    if far == near:
        return Bounds(far_case)
    return Bounds(
        far_case, lambda: _priced(WorstCase(near, output, None, reason), sending, model, caution, uses)
    )


def _prompt_tokens(
    sending: Sending, model: ModelBounds, caution: Caution
) -> tuple[int | None, int | None, str]:
    """Bound the tokens of the prompt, far and near, over all rounds; or say why they are not bounded."""
    extras, window, maxima = sending.extras, model.window, model.maxima
    overhead, per_mille = model.ratios.overhead, model.ratios.byte_per_mille
    text_bytes = divide_up(sending.body_bytes * per_mille, PER_MILLE)
    added = maxima.spare_tokens
    if extras is not NO_EXTRAS:
        added += _hidden_tokens(extras, sending.body_bytes, maxima)
    far = byte_bound(text_bytes, overhead, messages=sending.pieces).tokens + added
    # What was learned from shorter or other prompts is no reason to hold less than was counted.
    factor = max(PER_MILLE, sending.factor_per_mille) * (PER_MILLE + caution.margin_per_mille)
    near = divide_up(sending.counted_tokens * factor, PER_MILLE * PER_MILLE) + added
    if window is not None:
        # No provider takes, or bills, a prompt beyond the window; our own count has the last word, though.
        most = max(window.context_tokens, sending.counted_tokens)
        far, near = min(far, most), min(near, most)
        if extras.adds_unseen:
            far = near = most
    elif extras.adds_unseen:
        return None, None, "the provider adds texts of its own, and the model's window is not known"
    near = min(near, far)
    if extras.runs_tools or extras.compacts:
        results = _reread_tokens(extras, maxima)
        rounds = _rounds(extras, maxima)
        far, near = far * rounds + results, near * rounds + results
    return far, near, ""


def _hidden_tokens(extras: Extras, body_bytes: int, maxima: Maxima) -> int:
    """Bound the tokens of what does not stand in a body as text."""
    tokens = extras.provider_tools * maxima.provider_tool_tokens + extras.images * maxima.image_tokens
    if extras.documents:
        in_body = extras.documents - extras.remote_documents
        pages = min(in_body * maxima.pages, body_bytes // maxima.page_bytes + in_body)
        tokens += (pages + extras.remote_documents * maxima.pages) * maxima.page_tokens
    return tokens


def _uses(extras: Extras, maxima: Maxima) -> dict[ServerTool, int]:
    """Return how often each tool that is billed per use may run."""
    if not extras.uses:
        return {}
    return {
        tool: maxima.uses.get(tool, maxima.rounds) if most is None else most
        for tool, most in extras.uses.items()
    }


def _rounds(extras: Extras, maxima: Maxima) -> int:
    """Return how often the model reads the prompt within one request."""
    rounds = 1
    if extras.runs_tools:
        uses = sum(_uses(extras, maxima).values())
        # Tools that are not billed may run too.
        only_billed = len(extras.uses) == extras.provider_tools and not extras.adds_unseen
        rounds = min(maxima.rounds, uses + 1) if only_billed else maxima.rounds
    return rounds + extras.compacts


def _reread_tokens(extras: Extras, maxima: Maxima) -> int:
    """Bound the results of the provider's tools, each read in every round that follows it.

    The most is read where all uses that do not fit a round each come in the first, and the others one
    after another.
    """
    if not extras.runs_tools:
        return 0
    later = _rounds(extras, maxima) - 1
    uses = max(sum(_uses(extras, maxima).values()), later)
    return ((uses - later) * later + later * (later + 1) // 2) * maxima.result_tokens


def _output_tokens(sending: Sending, window: Window | None) -> tuple[int | None, str]:
    """Bound the tokens of all answers, or say why they are not bounded."""
    extras, limit = sending.extras, sending.output_tokens_max
    if limit is None:
        if window is None:
            return None, "the request sets no output limit, and the model's own is not known"
        limit = window.output_tokens_max
    tokens = limit * (extras.choices + extras.compacts) + extras.predicted_bytes
    return tokens, ""


def _priced(
    case: WorstCase, sending: Sending, model: ModelBounds, caution: Caution, uses: Mapping[ServerTool, int]
) -> WorstCase:
    """Price a bound, or say why it has no price."""
    price, prompt_tokens, output_tokens = model.price, case.prompt_tokens, case.output_tokens
    if price is None:
        reason = case.reason if caution.unpriced_nusd is not None else "the model has no known price"
        return WorstCase(prompt_tokens, output_tokens, caution.unpriced_nusd, reason)
    if prompt_tokens is None or output_tokens is None:
        return case
    if sending.extras.unpriced:
        return WorstCase(prompt_tokens, output_tokens, None, f"{sending.extras.unpriced} have no known price")
    try:
        prompt_nusd, output_nusd = model.dearest.of(price, model.terms, prompt_tokens, sending.writes)
        nusd = prompt_tokens * prompt_nusd + output_tokens * output_nusd
        if uses:
            nusd += _fees(price, uses)
    except UnpricedClass as error:
        return WorstCase(prompt_tokens, output_tokens, None, str(error))
    return WorstCase(prompt_tokens, output_tokens, nusd)


def _fees(price: Price, uses: Mapping[ServerTool, int]) -> int:
    nusd = 0
    for tool, requests in uses.items():
        fee = price.tool_fees.get(tool)
        if fee is None:
            raise UnpricedClass(price.model, tool.value)
        nusd += divide_up(requests * fee, _REQUESTS_PER_FEE)
    return nusd
