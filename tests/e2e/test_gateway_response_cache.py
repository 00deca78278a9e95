"""The response cache through the real gateway, in front of the real provider double."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiohttp
import anthropic
import httpx2
import openai
import pytest

from bursar.domain.ledger import Status, Technique
from served_processes import Served, serving

AT_ONCE = 1_000
# As long as it takes to ask so many times, and longer.
LATENCY_MS = 3_000
QUESTION: Any = [{"role": "user", "content": "May I take a bicycle?"}]


def billed(double: Served) -> int:
    return int(httpx2.get(f"{double.url}/bill").json()["calls"])


def claude(gateway: Served, tenant: str, key: str = "k") -> anthropic.Anthropic:
    headers = {"x-bursar-tenant": tenant}
    return anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, default_headers=headers)


def gpt(gateway: Served, tenant: str, key: str = "k") -> openai.OpenAI:
    headers = {"x-bursar-tenant": tenant}
    url = f"{gateway.url}/v1"
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, default_headers=headers)


BODY: Any = {"model": "claude-sonnet-4-6", "max_tokens": 300, "messages": QUESTION}
# Its SDK knows no temperature any more; its API does.
CLAUDE_ASKED: Any = {**BODY, "extra_body": {"temperature": 0}}
GPT_ASKED: Any = {"model": "gpt-4o", "temperature": 0, "messages": QUESTION}


def asked(gateway: Served, tenant: str, key: str = "k") -> list[str]:
    """Ask both providers' SDKs, whole and streaming; returns what the cache did for each call."""
    with claude(gateway, tenant, key) as client, gpt(gateway, tenant, key) as other:
        replies: list[Any] = [
            client.messages.with_raw_response.create(**CLAUDE_ASKED),
            client.messages.with_raw_response.create(**CLAUDE_ASKED, stream=True),
            other.chat.completions.with_raw_response.create(**GPT_ASKED),
            other.chat.completions.with_raw_response.create(**GPT_ASKED, stream=True),
        ]
        for reply in replies[1::2]:
            assert list(reply.parse())
        return [reply.headers["x-bursar-cache"] for reply in replies]


def test_the_same_tenant_is_answered_again_and_nobody_else(gateway: Served, double: Served) -> None:
    # A stream asked for after a whole answer is the same call.
    assert asked(gateway, "acme") == ["miss", "hit", "miss", "hit"]
    before = billed(double)
    assert asked(gateway, "acme") == ["hit"] * 4
    assert billed(double) == before
    assert asked(gateway, "rival") == ["miss", "hit", "miss", "hit"]
    assert asked(gateway, "acme", key="another") == ["miss", "hit", "miss", "hit"]


def test_anthropics_sdk_takes_a_replayed_stream_for_the_first_one(gateway: Served) -> None:
    with claude(gateway, "streams") as client:
        told: list[Any] = []
        for _ in range(2):
            with client.messages.stream(**CLAUDE_ASKED) as stream:
                text = "".join(stream.text_stream)
                told.append((text, stream.get_final_message().model_dump()))
        kinds = [event.type for event in client.messages.create(**CLAUDE_ASKED, stream=True)]
    assert told[0] == told[1]
    assert told[0][0]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    first, again = [e for e in gateway.entries() if e.attribution.tenant == "streams"][:2]
    assert (bool(first.attempts), again.attempts) == (True, ())


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
def test_openais_sdk_takes_a_replayed_stream_for_the_first_one(gateway: Served, options: Any) -> None:
    with gpt(gateway, f"streams {len(options)}") as client:
        told = [
            [
                chunk.model_dump()
                for chunk in client.chat.completions.create(**GPT_ASKED, **options, stream=True)
            ]
            for _ in range(2)
        ]
    assert told[0] == told[1]
    assert (told[1][-1]["usage"] is not None) == bool(options)


async def ask_at_once(url: str, bodies: Sequence[bytes], tenant: str) -> list[tuple[str, bytes]]:
    headers = {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "x-api-key": "k",
        "x-bursar-tenant": tenant,
    }

    async def one(session: aiohttp.ClientSession, body: bytes) -> tuple[str, bytes]:
        async with session.post("/v1/messages", data=body, headers=headers) as response:
            assert response.status == 200
            return response.headers["x-bursar-cache"], await response.read()

    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:
        return await asyncio.gather(*[one(session, body) for body in bodies])


def test_a_thousand_identical_calls_at_once_are_one_call_upstream(
    tmp_path: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("slow")
    with (
        serving("double", folder, "--latency-ms", str(LATENCY_MS)) as double,
        serving("serve", tmp_path, "--upstream", f"anthropic={double.url}") as gateway,
    ):
        whole = json.dumps({**BODY, "temperature": 0}).encode()
        streaming = json.dumps({**BODY, "temperature": 0, "stream": True}).encode()
        bodies = [whole, streaming] * (AT_ONCE // 2)
        told = asyncio.run(ask_at_once(gateway.url, bodies, "acme"))
        assert billed(double) == 1
        uses = Counter(use for use, _ in told)
        assert uses["miss"] == 1
        assert uses["miss"] + uses["joined"] + uses["hit"] == AT_ONCE
        assert uses["joined"]
        assert len({body for _, body in told[::2]}) == 1
        metrics = httpx2.get(f"{gateway.url}/metrics").text
        for use, count in uses.items():
            assert f'bursar_response_cache_total{{result="{use}"}} {count}.0' in metrics
        entries = gateway.entries()
    assert len(entries) == AT_ONCE
    assert {entry.status for entry in entries} == {Status.OK}
    answered = [entry for entry in entries if not entry.attempts]
    assert len(answered) == AT_ONCE - 1
    assert {entry.cost_nusd for entry in answered} == {0}
    assert all(entry.shares.get(Technique.RESPONSE_CACHE) for entry in answered)
