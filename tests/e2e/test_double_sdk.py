import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

# The double is started as a user starts it, except that the command needs no installed script.
START = "import typer; from bursar.cli.double import double; typer.run(double)"
POLICY = "You answer questions about flights, briefly and politely. " * 200


class Served:
    def __init__(self, url: str) -> None:
        self.url = url

    def bill(self, query: str = "") -> Any:
        return httpx2.get(f"{self.url}/bill{query}").json()

    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.url, api_key="key", max_retries=0)

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="key", max_retries=0)


def start(*arguments: str) -> tuple["subprocess.Popen[str]", Served]:
    process = subprocess.Popen(
        [sys.executable, "-c", START, "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Served(json.loads(process.stdout.readline())["anthropic"])


def stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    process, served = start("--tokens-per-s", "400")
    yield served
    stop(process)


@pytest.fixture
def served(shared: Served) -> Served:
    httpx2.post(f"{shared.url}/reset").raise_for_status()
    return shared


QUESTION: Any = [{"role": "user", "content": "May I take a bicycle?"}]


def marked_system() -> Any:
    return [{"type": "text", "text": POLICY, "cache_control": {"type": "ephemeral"}}]


def test_anthropics_sdk_gets_the_same_usage_whole_and_streaming(served: Served) -> None:
    with served.anthropic() as client:
        asked: Any = {
            "model": "claude-sonnet-4-6",
            "max_tokens": 400,
            "system": marked_system(),
            "messages": QUESTION,
        }
        cold = client.messages.create(**asked)
        warm = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            text = "".join(stream.text_stream)
            streamed = stream.get_final_message()
        counted = client.messages.count_tokens(
            model="claude-sonnet-4-6", system=marked_system(), messages=QUESTION
        )
    assert cold.usage.cache_creation_input_tokens == warm.usage.cache_read_input_tokens
    assert cold.content[0].type == "text"
    assert text == cold.content[0].text
    assert streamed.usage.output_tokens == warm.usage.output_tokens
    assert streamed.usage.cache_read_input_tokens == warm.usage.cache_read_input_tokens
    assert counted.input_tokens == warm.usage.input_tokens + (warm.usage.cache_read_input_tokens or 0)
    rows = served.bill("?by=call")["rows"]
    assert rows[1]["cost_usd"] == rows[2]["cost_usd"] < rows[0]["cost_usd"]


def test_openais_sdk_gets_the_same_usage_whole_and_streaming(served: Served) -> None:
    with served.openai() as client:
        asked: Any = {
            "model": "gpt-4.1-mini",
            "messages": [{"role": "system", "content": POLICY}, *QUESTION],
        }
        cold = client.chat.completions.create(**asked)
        warm = client.chat.completions.create(**asked)
        chunks = list(
            client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        )
    assert cold.usage is not None
    assert warm.usage is not None
    assert warm.usage.prompt_tokens_details is not None
    assert warm.usage.prompt_tokens_details.cached_tokens == warm.usage.prompt_tokens // 128 * 128
    assert chunks[-1].usage == warm.usage
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == warm.choices[0].message.content
    assert served.bill()["tokens"]["cache_read"] == 2 * warm.usage.prompt_tokens_details.cached_tokens


def test_the_sdks_raise_their_own_errors(served: Served) -> None:
    with served.anthropic() as claude, served.openai() as gpt:
        with pytest.raises(anthropic.BadRequestError, match="at least one message"):
            claude.messages.create(model="claude-sonnet-4-6", max_tokens=10, messages=[])
        with pytest.raises(anthropic.NotFoundError, match="model: claude-none"):
            claude.messages.create(model="claude-none", max_tokens=10, messages=QUESTION)
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            gpt.chat.completions.create(model="gpt-none", messages=QUESTION)
        with pytest.raises(openai.BadRequestError, match="empty array"):
            gpt.chat.completions.create(model="gpt-4o", messages=[])
    bill = served.bill()
    assert (bill["calls"], bill["refused"], bill["cost_usd"]) == (0, 4, "0.000000000")


def test_the_sdks_list_models(served: Served) -> None:
    with served.anthropic() as claude, served.openai() as gpt:
        assert "claude-sonnet-4-6" in {model.id for model in claude.models.list()}
        assert "gpt-4o" in {model.id for model in gpt.models.list()}


def test_an_aborted_stream_bills_what_was_generated(served: Served) -> None:
    with served.anthropic() as client:
        whole = client.messages.create(model="claude-sonnet-4-6", max_tokens=400, messages=QUESTION)
        stream = client.messages.create(
            model="claude-sonnet-4-6", max_tokens=400, messages=QUESTION, stream=True
        )
        for event in stream:
            if event.type == "content_block_delta":
                break
        stream.response.close()
    deadline = time.monotonic() + 5
    while served.bill()["aborted"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    row = served.bill("?by=call")["rows"][-1]
    assert row["aborted"]
    assert row["tokens"]["input"] == whole.usage.input_tokens
    assert 0 < row["tokens"]["output"] < whole.usage.output_tokens


def test_transcripts_answer_and_cuts_break_off(tmp_path: Path) -> None:
    transcript = {
        "conversation": "c",
        "messages": [*QUESTION, {"role": "assistant", "content": "Yes, for a fee."}],
    }
    file = tmp_path / "talk.jsonl"
    file.write_text(json.dumps(transcript) + "\n")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    process, served = start("--transcripts", str(empty), str(file), "--cut-rate", "0.5", "--seed", "1")
    said: list[str] = []
    broken = 0
    try:
        with served.openai() as client:
            for _ in range(20):
                try:
                    answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION, user="c")
                    said.append(answer.choices[0].message.content or "")
                except openai.APIConnectionError:
                    broken += 1
        assert served.bill()["cut"] == broken
    finally:
        stop(process)
    assert set(said) == {"Yes, for a fee."}
    assert 4 <= broken <= 16


def test_a_wrong_transcript_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text('{"conversation": "c", "calls": []}\n{"conversation": "d"}\n')
    command = [sys.executable, "-c", START, "--port", "0", "--transcripts", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode != 0
    assert "talk.jsonl:2: messages" in result.stderr.replace("\n", "")
