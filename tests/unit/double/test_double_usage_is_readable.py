from typing import Any

import pytest
from small_world import NOW_S, anthropic_call, make_double, openai_call
from test_double_streams import BODIES, book

from bursar.double.calls import DoubleCall
from bursar.wire.dialect import Request
from bursar.wire.dialects import DIALECTS
from bursar.wire.memo import PieceMemo

NAMES = {anthropic_call: "anthropic.messages", openai_call: "openai.chat"}


def read(dialect: str, call: DoubleCall) -> Request:
    reading = DIALECTS[dialect].read(call.body, PieceMemo())
    return reading.finish([0] * len(reading.texts))


@pytest.mark.parametrize(("make_call", "body"), BODIES)
def test_what_the_gateway_reads_of_an_answer_is_what_was_billed(make_call: Any, body: Any) -> None:
    dialect = NAMES[make_call]
    call = make_call(body)
    answer, row = make_double(book()).play(call, NOW_S)
    seen = DIALECTS[dialect].answer(answer.body, read(dialect, call))
    assert (seen.usage, seen.terms, seen.problem) == (row.usage, answer.charge and answer.charge.terms, "")


@pytest.mark.parametrize(("make_call", "body"), BODIES)
def test_what_the_gateway_reads_of_a_stream_is_what_was_billed(make_call: Any, body: Any) -> None:
    dialect = NAMES[make_call]
    options = {"stream_options": {"include_usage": True}} if make_call is openai_call else {}
    call = make_call({**body, "stream": True, **options})
    answer, row = make_double(book()).play(call, NOW_S)
    meter = DIALECTS[dialect].meter(read(dialect, call))
    data = b"".join(event.data for event in answer.events)
    passed = meter.feed(data)
    seen = meter.answer()
    assert (seen.usage, seen.complete) == (row.usage, True)
    assert passed + meter.rest() == data
