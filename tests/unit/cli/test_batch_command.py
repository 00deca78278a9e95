import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bursar
from batch_cases import INSTRUCTION, SCHEMA
from bursar.cli.batch import batch_app
from bursar.errors import BadLine, BadRequest, BadSetting, CallerMistake
from bursar.policy.batch.records import FORMAT

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"})
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n')
    (tmp_path / "do.txt").write_text(INSTRUCTION)
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    return tmp_path


def run(files: Path, *more: str, env: dict[str, str] | None = None):
    own = [str(files / "items.jsonl"), "--instruction", str(files / "do.txt")]
    own += ["--schema", str(files / "schema.json"), "--upstream", NOWHERE]
    return RUNNER.invoke(batch_app, ["run", *own, *more], env=env)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("items.jsonl", "{}\n", BadLine, r"items.jsonl:1: has no .id"),
        ("items.jsonl", "", CallerMistake, "there are no items"),
        (
            "schema.json",
            '{"type": "thing"}',
            BadSetting,
            r"--schema: .*schema.json is no JSON schema: #/type",
        ),
        ("do.txt", "", BadSetting, "--instruction: .*do.txt is empty"),
    ],
)
def test_a_wrong_file_is_named_before_anything_is_sent(
    files: Path, name: str, content: str, error: type[Exception], message: str
) -> None:
    (files / name).write_text(content)
    result = run(files)
    assert isinstance(result.exception, error)
    assert result.exception is not None
    with pytest.raises(error, match=message):
        raise result.exception
    assert not list(files.glob("*.journal"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "many"], 'size: "many" is neither "auto" nor a number'),
        (["--size", "0"], "size"),
        (["--dialect", "cobol"], 'dialect: "cobol" is none of'),
        (["--gateway", NOWHERE], "not to both"),
        (["--gateway", NOWHERE, "--upstream", "", "--via", "provider"], "name the provider by --upstream"),
    ],
)
def test_a_wrong_option_is_named(files: Path, more: list[str], message: str) -> None:
    result = run(files, *more)
    assert isinstance(result.exception, CallerMistake)
    assert message in str(result.exception)


def test_a_provider_is_not_asked_without_its_key(files: Path) -> None:
    result = run(files, env={"ANTHROPIC_API_KEY": ""})
    assert "ANTHROPIC_API_KEY" in str(result.exception)


def test_an_item_that_no_window_holds_is_named_before_anything_is_sent(files: Path) -> None:
    # 300,000 words of letters nobody joins: about as many tokens.
    long = " ".join("qxz" for _ in range(300_000))
    (files / "items.jsonl").write_text(f'{{"id": "a", "text": "x"}}\n{{"id": "b", "text": "{long}"}}\n')
    result = run(files, "--model", "claude-haiku-4-5")
    assert isinstance(result.exception, BadLine)
    assert "2: takes about" in str(result.exception)
    assert "split it" in str(result.exception)


def test_a_job_of_another_way_is_not_forgotten(files: Path) -> None:
    run(files, "--via", "provider")
    journal = files / "items.answers.jsonl.journal"
    head = json.loads(journal.read_text().splitlines()[0])
    call = {"number": 1, "items": [0], "tokens_max": 9}
    journal.write_text(
        json.dumps(head) + "\n" + json.dumps({"is": "job", "name": "n", "calls": [call], "at_s": 0}) + "\n"
    )
    result = run(files)
    assert "--via provider" in str(result.exception)


def test_a_batch_that_cannot_be_sent_keeps_its_state(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: float) -> None:
        """Wait for nothing."""

    monkeypatch.setattr("bursar.drivers.batch.calls.asyncio.sleep", at_once)
    result = run(files, "--json")
    assert "run the same again" in str(result.exception)
    assert json.loads(result.stdout)["answered"] == 0
    journal = (files / "items.answers.jsonl.journal").read_text().splitlines()
    assert json.loads(journal[0])["format"] == FORMAT
    assert json.loads(journal[-1])["is"] == "withdrawn"


def test_a_journal_that_is_none_cannot_be_cancelled(tmp_path: Path) -> None:
    result = RUNNER.invoke(batch_app, ["cancel", str(tmp_path / "none"), "--upstream", NOWHERE])
    assert isinstance(result.exception, BadSetting)


def test_a_batch_without_open_jobs_has_nothing_to_cancel(files: Path) -> None:
    run(files, "--via", "provider", "--poll-s", "0.05")
    journal = files / "items.answers.jsonl.journal"
    result = RUNNER.invoke(batch_app, ["cancel", str(journal), "--upstream", NOWHERE])
    assert (result.exit_code, result.stdout) == (0, "No job of this batch is open.\n")


def test_the_function_refuses_what_the_command_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    good = [{"id": 1, "text": "x"}]
    with pytest.raises(BadLine, match="items:2: the id"):
        bursar.batch([*good, *good], INSTRUCTION, SCHEMA)
    with pytest.raises(BadLine, match="items:1: is nothing that JSON can hold"):
        bursar.batch([{"id": 1, "text": {1, 2}}], INSTRUCTION, SCHEMA)
    with pytest.raises(BadRequest, match="#/type"):
        bursar.batch(good, INSTRUCTION, {"type": 3})
    with pytest.raises(BadSetting, match="is no URL"):
        bursar.batch(good, INSTRUCTION, SCHEMA, upstream="localhost")


async def test_the_function_says_how_it_is_called_in_an_event_loop() -> None:
    with pytest.raises(CallerMistake, match=r"asyncio\.to_thread"):
        bursar.batch([{"id": 1, "text": "x"}], INSTRUCTION, SCHEMA)
    await asyncio.sleep(0)
