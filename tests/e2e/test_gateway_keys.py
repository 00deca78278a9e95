"""Virtual keys on a gateway that runs, made by commands of other processes; none is left lying about."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from served_processes import BURSAR, Served, serving

CONFIG = """
[providers.anthropic]
api_key_env = "OPERATORS_PROVIDER_KEY"
[providers.openai]
api_key_env = "OPERATORS_PROVIDER_KEY"
"""
PROVIDER_KEY = "sk-canary-of-the-operator"
WITHIN_S = 5.0


@pytest.fixture
def gateway(double: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("OPERATORS_PROVIDER_KEY", PROVIDER_KEY)
    (tmp_path / "bursar.toml").write_text(CONFIG)
    upstreams = [f"--upstream=anthropic={double.url}", f"--upstream=openai={double.url}/v1"]
    with serving("serve", tmp_path, "--config", "bursar.toml", *upstreams) as served:
        yield served


def command(gateway: Served, *arguments: str) -> bytes:
    done = subprocess.run(
        [BURSAR, *arguments, "--data-dir", str(gateway.data_dir)],
        capture_output=True,
        cwd=gateway.data_dir.parent,
        timeout=30,
        check=True,
    )
    return done.stdout + done.stderr


def created(gateway: Served, *arguments: str) -> Any:
    done = subprocess.run(
        [BURSAR, "key", *arguments, "--data-dir", str(gateway.data_dir), "--json"],
        capture_output=True,
        timeout=30,
        check=True,
    )
    return json.loads(done.stdout)


def call(gateway: Served, key: str | None, question: str = "Hello", **headers: str) -> httpx2.Response:
    own = {} if key is None else {"x-api-key": key}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(
        f"{gateway.url}/v1/messages",
        headers={"anthropic-version": "2023-06-01", **own, **more},
        json={
            "model": "claude-sonnet-4-6",
            "max_tokens": 20,
            "messages": [{"role": "user", "content": question}],
        },
    )


def until(gateway: Served, key: str | None, status: int) -> httpx2.Response:
    """Call until the answer has a status."""
    deadline = time.monotonic() + WITHIN_S
    while (answer := call(gateway, key)).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


def await_said(gateway: Served, text: str) -> None:
    """Wait until a gateway says something: it answers calls while it is still writing what it begins with."""
    deadline = time.monotonic() + WITHIN_S
    while text not in gateway.log.read_text():
        assert time.monotonic() < deadline, gateway.log.read_text()
        time.sleep(0.05)


def written(directory: Path) -> bytes:
    """Return all that lies below a directory."""
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


def test_a_keys_life_on_a_gateway_that_runs(gateway: Served) -> None:
    await_said(gateway, "No virtual key is needed")
    assert call(gateway, "anything").status_code == 200
    made = created(gateway, "create", "--tenant", "acme", "--agent", "desk")
    until(gateway, "anything", 401)
    until(gateway, made["key"], 200)
    assert call(gateway, made["key"], x_bursar_tenant="rival").status_code == 403
    assert call(gateway, None).status_code == 401
    renewed = created(gateway, "rotate", made["id"], "--overlap", "1h")
    until(gateway, renewed["key"], 200)
    assert call(gateway, made["key"]).status_code == 200
    created(gateway, "revoke", made["id"])
    assert "was revoked" in until(gateway, renewed["key"], 401).text
    assert call(gateway, made["key"]).status_code == 401
    entries = [entry for entry in gateway.entries() if entry.attribution.key]
    assert {entry.attribution.key for entry in entries} == {made["id"]}
    assert {(entry.attribution.tenant, entry.attribution.agent) for entry in entries} == {("acme", "desk")}


def test_a_keys_limit_holds_from_its_first_call(gateway: Served) -> None:
    made = created(gateway, "create", "--tenant", "acme", "--limit-turns", "2", "--window", "day")
    other = created(gateway, "create", "--tenant", "acme")
    until(gateway, other["key"], 200)
    until(gateway, made["key"], 200)
    answers = [call(gateway, made["key"], f"Question {number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 402, 402]
    assert answers[1].json()["error"]["scope"] == f"key:{made['id']}"
    assert call(gateway, other["key"]).status_code == 200
    headers = {"x-bursar-key": made["key"]}
    rows = httpx2.get(f"{gateway.url}/v1/bursar/budget", headers=headers).json()["rows"]
    assert [row["scope"] for row in rows] == [f"key:{made['id']}"]


def test_both_official_sdks_take_a_key_as_their_api_key(gateway: Served) -> None:
    made = created(gateway, "create", "--tenant", "acme")
    until(gateway, made["key"], 200)
    asked: Any = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
    with anthropic.Anthropic(base_url=gateway.url, api_key=made["key"], max_retries=0) as claude:
        claude.messages.create(model="claude-sonnet-4-6", **asked)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=made["key"], max_retries=0) as gpt:
        gpt.chat.completions.create(model="gpt-4o", **asked)
    with (
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="bk_none", max_retries=2) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.chat.completions.create(model="gpt-4o", **asked)


def test_no_key_is_left_in_logs_metrics_errors_ledger_or_reports(gateway: Served, double: Served) -> None:
    made = created(gateway, "create", "--tenant", "acme")
    key: str = made["key"]
    until(gateway, key, 200)
    shown = b""
    for headers in (
        {"x_bursar_tenant": "rival"},
        {"cookie": key},
        {"x_bursar_mode": key},
        {"x_bursar_tags": f"k={key}"},
    ):
        answer = call(gateway, key, **headers)
        assert answer.status_code in {400, 401, 403}
        shown += answer.content + str(answer.headers).encode()
    for target in (f"/v1/messages?key={key}", f"/v1/models/{key}", f"/{key}", f"/v1/bursar/results/{key}"):
        answer = httpx2.get(f"{gateway.url}{target}", headers={"x-bursar-key": key})
        assert answer.status_code == 401
        shown += answer.content
    shown += httpx2.get(f"{gateway.url}/metrics").content
    shown += httpx2.get(f"{gateway.url}/v1/bursar/budget", headers={"x-bursar-key": key}).content
    for arguments in (
        ("key", "list"),
        ("key", "list", "--json"),
        ("report", "--by", "tenant,agent"),
        ("doctor",),
    ):
        shown += command(gateway, *arguments)
    created(gateway, "revoke", made["id"])
    shown += written(gateway.data_dir.parent) + written(double.log.parent)
    shown += httpx2.get(f"{double.url}/bill?by=call").content
    assert made["id"].encode() in shown
    for secret in (key, key[3:], PROVIDER_KEY):
        assert secret.encode() not in shown
    assert PROVIDER_KEY in os.environ["OPERATORS_PROVIDER_KEY"]
