"""Batches through the real commands, and the double's batch APIs through the official SDKs."""

import asyncio
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import httpx2
import openai
import pytest

import bursar
from batch_cases import INSTRUCTION, SCHEMA, label, labels
from served_processes import BURSAR, Served, serving

COUNT = 40
LATENCY_MS = 300
KEYS = {**os.environ, "ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k", "COLUMNS": "100"}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("double")
    file = directory / "labels.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in labels(COUNT)))
    own = ["--labels", str(file), "--label-fault-rate", "0.1", "--batch-s", "1"]
    with serving("double", directory, *own, "--latency-ms", str(LATENCY_MS)) as served:
        yield served


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rows = [{"id": each["id"], "text": each["text"]} for each in labels(COUNT)]
    (tmp_path / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    # What one test was answered is not another one's.
    (tmp_path / "do.txt").write_text(f"{INSTRUCTION} {tmp_path.name}")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    return tmp_path


def command(files: Path, *more: str) -> list[str]:
    given = ["--instruction", "do.txt", "--schema", "schema.json", "--size", "10", "--json"]
    return [BURSAR, "batch", "run", "items.jsonl", *given, *more]


def run(files: Path, *more: str) -> tuple[int, Any]:
    done = subprocess.run(
        command(files, *more), cwd=files, env=KEYS, capture_output=True, timeout=60, check=False
    )
    return done.returncode, json.loads(done.stdout or b"null")


def kill_once(files: Path, written: str, *more: str) -> None:
    """Run a batch, and kill it as soon as its journal has a record."""
    process = subprocess.Popen(
        command(files, *more), cwd=files, env=KEYS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    journal = files / "items.answers.jsonl.journal"
    deadline = time.monotonic() + 30
    while not (journal.exists() and written in journal.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.wait()


def bill(double: Served) -> Any:
    return httpx2.get(f"{double.url}/bill").json()


def check_answers(files: Path) -> None:
    rows = [json.loads(line) for line in (files / "items.answers.jsonl").read_text().splitlines()]
    assert rows == [{"id": f"t{n}", "answer": label(n)} for n in range(COUNT)]
    assert (files / "items.answers.errors.jsonl").read_text() == ""


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gpt-4o-mini"])
def test_a_batch_that_was_killed_goes_on_at_the_gateway_and_pays_nothing_twice(
    double: Served, gateway: Served, files: Path, model: str
) -> None:
    before = bill(double)["calls"]
    to = ["--gateway", gateway.url, "--model", model]
    kill_once(files, '"number":3', *to)
    status, said = run(files, *to)
    assert status == 0
    check_answers(files)
    assert bill(double)["calls"] - before == said["calls"]
    entries = [entry for entry in gateway.entries() if entry.model == model]
    assert sum(entry.cost_nusd or 0 for entry in entries) == int(said["spent_usd"].replace(".", ""))


@pytest.mark.parametrize("written", ['"is":"job"', '"is":"accepted"', '"is":"ended"', '"is":"closed"'])
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gpt-4o-mini"])
def test_a_job_that_was_killed_is_found_again_and_paid_once(
    double: Served, files: Path, model: str, written: str
) -> None:
    before = bill(double)["calls"]
    url = double.url if model.startswith("claude") else f"{double.url}/v1"
    to = ["--upstream", url, "--model", model, "--via", "provider", "--poll-s", "0.2"]
    kill_once(files, written, *to)
    status, said = run(files, *to)
    assert status == 0
    check_answers(files)
    assert bill(double)["calls"] - before == said["calls"]


def test_the_function_answers_and_says_what_it_cost(double: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    rows = [{"id": n, "text": "x"} for n in range(3)]
    before = int(bill(double)["cost_usd"].replace(".", ""))
    result = bursar.batch(rows, INSTRUCTION, True, upstream=double.url)
    # The double knows no such items: what it says is none of the answers.
    assert not result.is_complete
    assert {error.kind for error in result.errors} == {"unreadable"}
    assert int(bill(double)["cost_usd"].replace(".", "")) - before == result.spent_nusd


async def test_a_call_that_nobody_waits_for_is_finished_if_that_was_asked(
    double: Served, gateway: Served
) -> None:
    body = {
        "model": "claude-haiku-4-5",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": "Hi, all"}],
    }
    headers = {
        "x-api-key": "k",
        "anthropic-version": "2023-06-01",
        "x-bursar-cache": "on",
        "x-bursar-on-leave": "finish",
    }
    before = bill(double)["calls"]
    async with aiohttp.ClientSession(headers=headers) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(LATENCY_MS / 3_000):
                await session.post(f"{gateway.url}/v1/messages", json=body)
        async with session.post(f"{gateway.url}/v1/messages", json=body) as again:
            assert again.status == 200
            assert again.headers["x-bursar-cache"] in {"joined", "hit"}
    assert bill(double)["calls"] - before == 1


def test_the_sdks_know_the_doubles_batches(double: Served) -> None:
    ask: Any = [{"role": "user", "content": "Hello"}]
    with anthropic.Anthropic(base_url=double.url, api_key="k") as client:
        params: Any = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": ask}
        made = client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
        while client.messages.batches.retrieve(made.id).processing_status != "ended":
            time.sleep(0.1)
        (result,) = client.messages.batches.results(made.id)
        assert (result.custom_id, result.result.type) == ("a", "succeeded")
        assert made.id in {each.id for each in client.messages.batches.list()}
    with openai.OpenAI(base_url=f"{double.url}/v1", api_key="k") as other:
        row = {
            "custom_id": "a",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4o-mini", "messages": ask},
        }
        file = other.files.create(file=("in.jsonl", io.BytesIO(json.dumps(row).encode())), purpose="batch")
        batch = other.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while (batch := other.batches.retrieve(batch.id)).status != "completed":
            time.sleep(0.1)
        assert batch.output_file_id is not None
        line = json.loads(other.files.content(batch.output_file_id).text)
        assert (line["custom_id"], line["response"]["status_code"]) == ("a", 200)
