"""The official SDKs through the real gateway in front of the real provider double."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from bursar.domain.ledger import CostBasis, Status
from served_processes import Served, serving

POLICY = "You answer questions about flights, briefly and politely. " * 200
QUESTION: Any = [{"role": "user", "content": "May I take a bicycle?"}]
HEADERS = {"x-bursar-tenant": "acme"}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving("double", tmp_path_factory.mktemp("double"), "--token-skew", "1.07") as served:
        yield served


@pytest.fixture
def claude(gateway: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=gateway.url, api_key="k", max_retries=0, default_headers=HEADERS
    ) as client:
        yield client


@pytest.fixture
def gpt(gateway: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key="k", max_retries=0, default_headers=HEADERS
    ) as client:
        yield client


def ask_claude(**fields: Any) -> Any:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 300,
        "system": POLICY,
        "messages": QUESTION,
        **fields,
    }


def test_anthropics_sdk_works_whole_and_streaming(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(**ask_claude())
    with claude.messages.stream(**ask_claude()) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert whole.content[0].type == "text"
    assert text == whole.content[0].text
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    events = list(claude.messages.create(**ask_claude(stream=True)))
    assert events[-1].type == "message_stop"


def test_openais_sdk_works_whole_and_streaming(gpt: openai.OpenAI) -> None:
    asked: Any = {"model": "gpt-4o", "messages": [{"role": "system", "content": POLICY}, *QUESTION]}
    whole = gpt.chat.completions.create(**asked)
    chunks = list(gpt.chat.completions.create(**asked, stream=True))
    counted = list(gpt.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == whole.choices[0].message.content
    # Usage that only Bursar asked for is for Bursar alone.
    assert all(chunk.usage is None for chunk in chunks)
    assert counted[-1].usage is not None
    assert whole.usage is not None
    assert counted[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_free_routes_pass(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
    counted = claude.messages.count_tokens(model="claude-sonnet-4-6", messages=QUESTION)
    assert counted.input_tokens > 0
    assert "claude-sonnet-4-6" in {model.id for model in claude.models.list()}
    assert "gpt-4o" in {model.id for model in gpt.models.list()}


def test_the_sdks_raise_their_own_errors(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
    with pytest.raises(anthropic.BadRequestError, match="no price is known") as unpriced:
        claude.messages.create(**ask_claude(model="claude-none"))
    assert unpriced.value.response.headers["x-bursar-operation-id"].startswith("op-")
    with pytest.raises(openai.BadRequestError, match="no price is known"):
        gpt.chat.completions.create(model="gpt-none", messages=QUESTION)
    # This one is the provider's own.
    with pytest.raises(anthropic.BadRequestError, match="no_such_field"):
        claude.messages.create(**ask_claude(extra_body={"no_such_field": 1}))
    with pytest.raises(anthropic.NotFoundError, match="Bursar serves no POST /v1/messages/batches"):
        claude.messages.batches.create(requests=[])
    with pytest.raises(openai.NotFoundError, match="Bursar serves no POST /v1/responses"):
        gpt.responses.create(model="gpt-4o", input="hello")


def test_bursars_headers_say_what_a_call_cost(claude: anthropic.Anthropic, gateway: Served) -> None:
    raw = claude.messages.with_raw_response.create(**ask_claude())
    entry = gateway.entries()[-1]
    assert raw.headers["x-bursar-operation-id"] == entry.operation_id
    assert raw.headers["x-bursar-model"] == "claude-sonnet-4-6"
    assert Decimal(raw.headers["x-bursar-cost-usd"]) * 10**9 == entry.cost_nusd
    assert Decimal(raw.headers["x-bursar-saved-usd"]) * 10**9 == entry.saved_nusd


def test_ledger_and_bill_are_equal_call_by_call(
    claude: anthropic.Anthropic, gpt: openai.OpenAI, gateway: Served, double: Served
) -> None:
    for streaming in (False, True):
        answer = claude.messages.create(**ask_claude(stream=streaming))
        if streaming:
            list(answer)
        chunks = gpt.chat.completions.create(model="gpt-4.1-mini", messages=QUESTION, stream=streaming)
        if streaming:
            list(chunks)
    rows = httpx2.get(f"{double.url}/bill?by=call").json()["rows"]
    billed = {row["operation_id"]: int(Decimal(row["cost_usd"]) * 10**9) for row in rows}
    entries = gateway.entries()
    assert {entry.operation_id: entry.cost_nusd for entry in entries} == billed
    assert len(entries) >= 4
    kinds = {(entry.status, entry.basis) for entry in entries if entry.http_status == 200}
    assert kinds == {(Status.OK, CostBasis.MEASURED)}
    assert {entry.attribution.tenant for entry in entries} == {"acme"}


def test_metrics_and_health_answer(gateway: Served) -> None:
    assert httpx2.get(f"{gateway.url}/health/ready").status_code == 200
    metrics = httpx2.get(f"{gateway.url}/metrics").text
    assert "bursar_calls_total{" in metrics
