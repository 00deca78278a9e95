"""What holds for every rewriting of every conversation: it stays valid, and it stays the same."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.domain.layout import lay_out
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import Basis, TokenRatios
from bursar.domain.usage import TokenClass
from bursar.policy.history.decision import (
    HistoryCase,
    HistoryKind,
    HistoryPlan,
    SummaryOffer,
    decide_history,
)
from bursar.policy.history.options import HistoryOptions
from bursar.policy.history.outlook import Outlook, Pricing
from bursar.policy.history.steps import HistoryStep, applies, rewrite, take_step
from bursar.wire.condensing.cuts import cut_points
from bursar.wire.condensing.forms import FORMS
from bursar.wire.condensing.masking import mask_results
from bursar.wire.condensing.rendering import text_for_summary
from bursar.wire.condensing.summaries import replace_by_summary
from bursar.wire.dialect import Dialect, Request
from history_conversations import (
    Call,
    Step,
    Turn,
    conversation_of,
    judge,
    messages_of,
    request_of,
)
from wire_bodies import ANTHROPIC, OPENAI

both = pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI], ids=lambda dialect: dialect.name)

RATIOS = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)
RATES = {
    TokenClass.INPUT: 1000,
    TokenClass.CACHE_READ: 100,
    TokenClass.CACHE_WRITE_5M: 1250,
    TokenClass.OUTPUT: 5000,
}

words = st.text(alphabet='ab é\n"\\', min_size=1, max_size=12).map(lambda text: f"w{text}w")
calls = st.builds(
    Call,
    tool=st.sampled_from(["find", "read_file", "f"]),
    arguments=st.dictionaries(st.sampled_from(["q", "path"]), words, max_size=2),
    result=words | st.integers(200, 900).map(lambda size: "r" * size),
    image=st.booleans(),
)
acts = st.builds(
    Step,
    text=words | st.just(""),
    calls=st.lists(calls, min_size=1, max_size=3).map(tuple),
    thinks=st.booleans(),
)
answers = st.builds(Step, text=words, calls=st.just(()), thinks=st.booleans())


@st.composite
def turns(draw: st.DrawFn, last: bool = False) -> Turn:
    steps = draw(st.lists(acts, max_size=4))
    if not last:
        steps.append(draw(answers))
    # An answer thinks at its beginning, or at every step, or not at all.
    if steps and not steps[0].thinks:
        steps = [step._replace(thinks=False) for step in steps]
    return Turn(draw(words), tuple(steps), draw(st.booleans()))


conversations = st.builds(lambda begun, last: [*begun, last], st.lists(turns(), max_size=5), turns(last=True))


def raw_messages(request: Request) -> list[bytes]:
    return conversation_of(request).raw_messages(len(request.prompt.messages))


def decoded(request: Request, messages: list[bytes]) -> list[Any]:
    conversation = conversation_of(request)
    front = json.loads(conversation.array)[: conversation.front]
    return [*front, *map(json.loads, messages)]


@both
@given(conversation=conversations, data=st.data())
def test_a_summary_up_to_any_cut_leaves_a_valid_request(
    dialect: Dialect, conversation: list[Turn], data: st.DataObject
) -> None:
    request = request_of(dialect, messages_of(dialect, conversation))
    cuts = cut_points(request.prompt.messages)
    assume(cuts)
    cut = data.draw(st.sampled_from(cuts))
    start = data.draw(st.sampled_from([0, *(c for c in cuts if c < cut)]))
    kept = data.draw(st.sets(st.integers(start, cut - 1), max_size=3))
    messages = raw_messages(request)
    shorter = replace_by_summary(FORMS[dialect.name], messages, range(start, cut), "They met.", kept=kept)
    judge(dialect, decoded(request, shorter))
    assert shorter[len(shorter) - len(messages) + cut + 1 :] == messages[cut + 1 :]
    assert conversation[0].text in json.loads(shorter[0])["content"] or conversation[0].text in str(
        json.loads(shorter[0])["content"][0]["text"]
    )


@both
@given(conversation=conversations, data=st.data())
def test_masking_leaves_a_valid_request_and_twice_is_once(
    dialect: Dialect, conversation: list[Turn], data: st.DataObject
) -> None:
    request = request_of(dialect, messages_of(dialect, conversation))
    messages = raw_messages(request)
    start = data.draw(st.integers(0, len(messages)))
    span = range(start, data.draw(st.integers(start, len(messages))))
    kept = data.draw(st.sets(st.integers(0, len(messages)), max_size=3))

    def mask(given_messages: list[bytes]) -> list[bytes]:
        return mask_results(
            FORMS[dialect.name],
            given_messages,
            span,
            kept=kept,
            handle=lambda text: f"GET /results/{len(text)}" if len(text) > 300 else None,
        )

    masked = mask(messages)
    judge(dialect, decoded(request, masked))
    assert mask(masked) == masked
    assert all(masked[n] == message for n, message in enumerate(messages) if n not in span or n in kept)


@both
@given(conversation=conversations, chars_max=st.integers(1, 3_000), earlier=words | st.just(""))
def test_the_text_to_summarise_is_never_longer_than_asked_for(
    dialect: Dialect, conversation: list[Turn], chars_max: int, earlier: str
) -> None:
    messages = raw_messages(request_of(dialect, messages_of(dialect, conversation)))
    text = text_for_summary(
        FORMS[dialect.name], messages, range(len(messages)), chars_max=chars_max, earlier=earlier
    )
    assert len(text) <= chars_max


def case_of(request: Request, warm: bool, offer: SummaryOffer | None, calls_to_come: int) -> HistoryCase:
    layout = lay_out(request.prompt, scope=b"s", ratios=RATIOS)
    return HistoryCase(
        layout=layout,
        pricing=Pricing(lambda _: RATES, TokenClass.CACHE_WRITE_5M),
        readable=lambda tokens: tokens if warm else 0,
        outlook=Outlook(calls_to_come),
        offer=offer,
    )


def planned(request: Request, data: st.DataObject) -> tuple[HistoryPlan, HistoryOptions]:
    total = lay_out(request.prompt, scope=b"s", ratios=RATIOS).total_tokens
    options = HistoryOptions(
        tokens=data.draw(st.none() | st.integers(1, total + 1)),
        limit=data.draw(st.none() | st.integers(1, total + 1)),
        recent_tokens=data.draw(st.none() | st.integers(0, total)),
        pinned=data.draw(st.sampled_from([(), ("wa",), ("rrr",)])),
    )
    offer = data.draw(st.sampled_from([None, SummaryOffer(5, 1), SummaryOffer(5, None)]))
    case = case_of(request, data.draw(st.booleans()), offer, data.draw(st.integers(1, 100)))
    return decide_history(case, options), options


@both
@given(conversation=conversations, data=st.data())
def test_every_plan_leaves_a_valid_request_that_begins_alike_at_all_later_turns(
    dialect: Dialect, conversation: list[Turn], data: st.DataObject
) -> None:
    messages = messages_of(dialect, conversation)
    request = request_of(dialect, messages)
    plan, options = planned(request, data)
    assume(plan.kind is not HistoryKind.NONE)
    summary = "They met." if plan.kind is HistoryKind.SUMMARISE else ""
    step = take_step(None, plan, conversation_of(request), options, summary)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(step), type=HistoryStep) == step

    sent: list[bytes] = []
    for more in ([], [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And then?"}]):
        later = request_of(dialect, [*messages, *more])
        assert applies(step, later.prompt.messages)
        sent.append(rewrite(step, conversation_of(later)).whole(later.fields["messages"]))
        judge(dialect, json.loads(sent[-1]))
    assert sent[1].startswith(sent[0][:-1])
    # What was rewritten is another conversation, so that nothing is rewritten twice.
    changed = request_of(dialect, json.loads(sent[0]))
    assert not applies(step, changed.prompt.messages) or sent[0] == request.fields["messages"]


@both
@given(conversation=conversations, data=st.data())
def test_a_second_step_takes_the_place_of_the_first_and_is_valid_too(
    dialect: Dialect, conversation: list[Turn], data: st.DataObject
) -> None:
    messages = messages_of(dialect, conversation)
    request = request_of(dialect, messages)
    first, options = planned(request, data)
    assume(first.kind is not HistoryKind.NONE)
    step = take_step(None, first, conversation_of(request), options, "They met.")

    more = [Turn("On.", (Step("", (Call("find", {}, "r" * 500),)), Step("Found.")), image=False), Turn("Go.")]
    continued = messages_of(dialect, [*conversation[:-1], finished(conversation[-1]), *more])
    later = request_of(dialect, continued)
    own = conversation_of(later)
    assume(applies(step, own.messages))
    head = rewrite(step, own)
    rewritten = request_of(dialect, json.loads(head.whole(own.array)))
    case = case_of(rewritten, warm=False, offer=SummaryOffer(5, 1), calls_to_come=50)
    again = HistoryCase(
        layout=case.layout,
        pricing=case.pricing,
        readable=case.readable,
        outlook=case.outlook,
        kept=range(head.standing),
        shift=head.shift,
        summary_tokens=5 if step.summary_end else 0,
        offer=case.offer,
    )
    plan = decide_history(again, HistoryOptions(tokens=1, limit=1, recent_tokens=0))
    assume(plan.kind is not HistoryKind.NONE)
    second = take_step(step, plan, own, options, "They met again.")
    assert second.end >= step.end
    judge(dialect, json.loads(rewrite(second, own).whole(own.array)))


def finished(turn: Turn) -> Turn:
    return (
        turn if turn.steps and not turn.steps[-1].calls else turn._replace(steps=(*turn.steps, Step("Done.")))
    )
