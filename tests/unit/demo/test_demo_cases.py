import json

import pytest

from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.demo.cases import COMPANIES, Company, policy, write_cases
from bursar.demo.scripts import Script
from bursar.double.calls import DoubleCall, DoubleOptions
from bursar.double.provider import ProviderDouble
from bursar.double.transcripts import TranscriptBook
from bursar.wiring.double import build_double

CASES = write_cases(7, 12)
SCRIPTS = [script for threads in CASES for script in threads]


def _answers(script: Script, double: ProviderDouble) -> list[int]:
    path = "/v1/messages" if script.dialect == "anthropic.messages" else "/v1/chat/completions"
    keys = {"x-api-key": "k", "authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    headers = {**keys, **script.labels()}
    calls = [DoubleCall(path, headers, json.dumps(body).encode()) for body in script.requests()]
    return [double.play(call, 1_795_000_000.0)[0].status for call in calls]


def test_the_same_seed_writes_the_same_conversations() -> None:
    assert write_cases(7, 12) == CASES
    assert write_cases(8, 12) != CASES


def test_every_conversation_is_triaged_and_then_served() -> None:
    for triage, specialist in CASES:
        assert (triage.agent, triage.task, triage.calls) == ("triage", "intent_classification", 1)
        assert specialist.agent == json.loads(triage.messages[-1]["content"])["agent"]
        assert specialist.calls >= 6
        assert triage.messages[1] == specialist.messages[1]


def test_names_are_unique() -> None:
    assert len({script.name for script in SCRIPTS}) == len(SCRIPTS)


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.tenant)
def test_a_policy_is_long_enough_to_be_cached(company: Company) -> None:
    (tokens,) = SplintrTokenizer().count([f"{policy('house')}\n{policy(company.policy)}"])
    assert tokens >= 1_500


def test_both_apis_and_both_kinds_of_answer_occur() -> None:
    kinds = {(script.dialect, script.stream) for script in SCRIPTS}
    assert kinds >= {("anthropic.messages", False), ("anthropic.messages", True), ("openai.chat", True)}


def test_the_provider_takes_every_request_and_answers_as_written() -> None:
    book = TranscriptBook()
    for script in SCRIPTS:
        book.add(json.loads(script.transcript()))
    double = build_double(DoubleOptions(), book)
    for script in SCRIPTS[:6]:
        assert _answers(script, double) == [200] * script.calls
