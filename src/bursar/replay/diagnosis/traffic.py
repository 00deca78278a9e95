"""The doctor of recorded calls: content is at hand, so it names the text that changed."""

from dataclasses import dataclass, field

from bursar.cachemodel.rules import CacheKind, CacheRules
from bursar.domain.prompt import Place
from bursar.errors import BadRequest
from bursar.ports import Tokenizer
from bursar.replay.calls import RecordedCall
from bursar.replay.diagnosis.agents import Agents
from bursar.replay.diagnosis.findings import Example, Finding, Findings, Kind, dearest_first
from bursar.replay.diagnosis.habits import Habits, Past, Position
from bursar.replay.diagnosis.losses import loss_nusd
from bursar.replay.diagnosis.reasons import SECTION_REASONS, Reason
from bursar.replay.diagnosis.sent import Books, SentCache, SentCall
from bursar.replay.diagnosis.texts import RequestTexts
from bursar.view.prompt_differences import Comparison, Difference, Sight, compare_prompts
from bursar.wire.dialect import Request

_ANTHROPIC = "anthropic.messages"
# A loss below this is the grain of caches (OpenAI's reads in steps of 128), not a habit.
_NOTICED_TOKENS_MIN = 256
_REASONS_MAX = 100


@dataclass(slots=True)
class Course:
    """How a diagnosis goes. Mutable.

    Attributes:
        calls: Calls looked at.
        made_up_times: Those whose time is made up.
        unpriced_calls: Those whose prompt has no known price; they are in no amount.
        prompts_nusd: What the prompts of the others cost as they were sent.
        refused_calls: Calls whose request no provider could take.
        refused: Why, with the place of the first of each kind.
    """

    calls: int = 0
    made_up_times: int = 0
    unpriced_calls: int = 0
    prompts_nusd: int = 0
    refused_calls: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Case:
    """A call beside the earlier one that it is most like."""

    call: RecordedCall
    sent: SentCall
    rules: CacheRules
    model: str
    past: Past
    comparison: Comparison


class TrafficDoctor:
    """Looks at recorded calls, which come in order of time.

    Args:
        books: What is known of models.
        tokenizer: Counts by o200k.
    """

    def __init__(self, books: Books, tokenizer: Tokenizer) -> None:
        self._cache = SentCache(books, tokenizer)
        self._habits = Habits()
        self._agents = Agents()
        self._findings = Findings()
        self.course = Course()

    def look(self, call: RecordedCall) -> None:
        """Look at a call."""
        course = self.course
        try:
            request = self._cache.read(call)
        except BadRequest as error:
            course.refused_calls += 1
            if len(course.refused) < _REASONS_MAX:
                course.refused.setdefault(str(error), call.place)
            return
        course.calls += 1
        course.made_up_times += call.made_up
        position = self._habits.place(call, request, course.calls)
        previous = position.previous
        sent = self._cache.send(call, request, previous.sent.layout if previous is not None else None)
        self._bill(sent)
        past = Past(
            number=course.calls,
            place=call.place,
            at_s=call.at_s,
            begins_at_s=call.at_s + call.duration_s,
            dialect=call.dialect,
            model=request.model,
            sent=sent,
            kept_tokens=sent.kept_tokens,
        )
        if sent.rules is not None:
            self._agents.sent(position.agent, past)
            self._compare(call, request, position, past)
        self._habits.remember(past, position, call.body)

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found so far, the dearest first."""
        found = list(self._findings.all())
        for finding in found:
            if finding.kind.reason is Reason.EXPIRED:
                finding.hint = self._agents.longer_life((finding.kind.tenant, finding.kind.agent))
        return dearest_first([*found, *self._agents.vain_writes()])

    def _bill(self, sent: SentCall) -> None:
        cost_nusd = None if sent.tariff is None else sent.tariff.cost_nusd(sent.billed)
        if cost_nusd is None:
            self.course.unpriced_calls += 1
        else:
            self.course.prompts_nusd += cost_nusd

    def _compare(self, call: RecordedCall, request: Request, position: Position, this: Past) -> None:
        """Compare a call with the one that it is most like, and book what it lost."""
        sent, rules = this.sent, this.sent.rules
        past = position.previous or self._habits.alike(call, position, request.model, sent.layout)
        if past is None or rules is None or past.dialect != call.dialect:
            return
        comparison = compare_prompts(
            self._sight(past, self._habits.body(past)),
            self._sight(this, call.body),
            one_thread=position.previous is not None,
        )
        shared_tokens = comparison.shared_tokens
        self._agents.reused(position.agent, past, shared_tokens)
        lost_tokens = shared_tokens - sent.outcome.read_tokens
        if lost_tokens < _NOTICED_TOKENS_MIN:
            return
        case = _Case(call, sent, rules, request.model, past, comparison)
        reason = _reason(case)
        if reason is None:
            return
        self._book(case, reason, position, lost_tokens)
        this.kept_tokens = max(this.kept_tokens, shared_tokens)

    def _book(self, case: _Case, reason: Reason, position: Position, lost_tokens: int) -> None:
        past, tariff = case.past, case.sent.tariff
        lost_nusd = None if tariff is None else loss_nusd(case.sent.billed, lost_tokens, tariff)
        if lost_nusd is not None and tariff is not None:
            # Where nobody wrote what could have been read, reading it would have taken that write.
            unwritten = max(0, case.comparison.shared_tokens - past.kept_tokens)
            lost_nusd -= tariff.premium_nusd(case.rules.write_classes[case.rules.default_ttl], unwritten)
        past.kept_tokens = max(past.kept_tokens, case.comparison.shared_tokens)
        difference = case.comparison.difference if reason in SECTION_REASONS.values() else None
        kind = Kind(*position.agent, reason, difference.cause if difference is not None else None)
        self._findings.add(kind, _example(case, difference, lost_tokens), lost_nusd)
        if reason is Reason.EXPIRED and lost_nusd is not None:
            gap_s = case.call.at_s - past.begins_at_s
            self._agents.expired(position.agent, case.rules, gap_s, lost_nusd)

    def _sight(self, past: Past, body: bytes | None) -> Sight:
        layout = past.sent.layout
        return Sight(layout, RequestTexts(past.dialect, body, len(layout.prompt.system)))


def _reason(case: _Case) -> Reason | None:
    """Return why a call did not read what the earlier one had sent.

    What would have kept it from being read however the prompts were written comes first.
    """
    past, call = case.past, case.call
    difference = case.comparison.difference
    if case.comparison.shared_tokens < case.rules.minimum_tokens:
        asked = bool(case.sent.layout.marks) or case.rules.kind is not CacheKind.ANTHROPIC
        return Reason.BELOW_MINIMUM if asked else None
    if call.at_s >= past.dies_at_s:
        return Reason.EXPIRED
    if call.at_s < past.begins_at_s:
        return Reason.CONCURRENT
    if case.model != past.model:
        return Reason.MODEL_CHANGED
    if case.sent.cache_key != past.sent.cache_key:
        return Reason.CACHE_KEY_CHANGED
    lost_tokens = case.comparison.shared_tokens - case.sent.outcome.read_tokens
    lost_before = case.comparison.prefix_tokens - case.sent.outcome.read_tokens
    if difference is not None and 2 * lost_before < lost_tokens:
        return SECTION_REASONS[difference.section]
    # Most of it stands before the first difference, which is then not to blame.
    # An automatic cache needs no marks; that it read a little less is its grain.
    return None if case.rules.kind is CacheKind.OPENAI_AUTOMATIC else Reason.UNMARKED


def _example(case: _Case, difference: Difference | None, tokens: int) -> Example:
    call, past = case.call, case.past
    before = after = ""
    if difference is not None:
        before, after = difference.before, difference.after
    elif case.model != past.model:
        before, after = past.model, case.model
    return Example(
        call=call.place,
        earlier=past.place,
        place=_where(case, difference),
        offset=difference.offset if difference is not None and difference.offset else None,
        before=before,
        after=after,
        gap_s=call.at_s - past.at_s,
        tokens=tokens,
    )


def _where(case: _Case, difference: Difference | None) -> str:
    """Name the place of a difference as the request's own path."""
    if difference is None:
        return "model" if case.model != case.past.model else ""
    place = difference.place
    if place is None:
        return difference.after.partition("=")[0] or difference.before.partition("=")[0] or "settings"
    layout = case.sent.layout
    return _path(case.call.dialect, place, len(layout.prompt.system), _blocks(case, place))


def _blocks(case: _Case, place: Place) -> int:
    pieces = case.sent.layout.prompt
    section = {"tools": pieces.tools, "system": pieces.system, "messages": pieces.messages}
    return len(section[place.section.value][place.piece].blocks)


def _path(dialect: str, place: Place, system_pieces: int, blocks: int) -> str:
    section, piece = place.section.value, place.piece
    if dialect != _ANTHROPIC and section != "tools":
        # There the system prompt is among the messages.
        piece += system_pieces if section == "messages" else 0
        section = "messages"
    path = f"{section}[{piece}]"
    return f"{path}.content[{place.block}]" if blocks > 1 else path
