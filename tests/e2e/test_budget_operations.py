"""Operators' hands on a gateway that runs, from processes of their own."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from served_processes import BURSAR, Served, serving

HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
CONFIG = """
[server]
admin_key_env = "OPERATORS_TOKEN"
[[budgets]]
scope = "conversation:*"
limit_turns = 2
"""
WITHIN_S = 5.0


@pytest.fixture
def gateway(double: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("OPERATORS_TOKEN", "open sesame")
    (tmp_path / "bursar.toml").write_text(CONFIG)
    with served_again(double, tmp_path) as served:
        yield served


def served_again(double: Served, directory: Path) -> Any:
    return serving("serve", directory, "--config", "bursar.toml", "--upstream", f"anthropic={double.url}")


def call(gateway: Served, tenant: str, conversation: str = "c1") -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1/messages",
        headers={**HEADERS, "x-bursar-tenant": tenant, "x-bursar-conversation": conversation},
        json={
            "model": "claude-sonnet-4-6",
            "max_tokens": 20,
            "messages": [{"role": "user", "content": f"Hello from {conversation}"}],
        },
    )


def command(gateway: Served, *arguments: str, fails: bool = False) -> Any:
    done = subprocess.run(
        [BURSAR, *arguments, "--config", "bursar.toml", "--data-dir", str(gateway.data_dir), "--json"],
        capture_output=True,
        cwd=gateway.data_dir.parent,
        timeout=30,
        check=False,
    )
    assert done.returncode == (2 if fails else 0), done.stderr
    return done.stderr.decode() if fails else json.loads(done.stdout)


def until_answered(gateway: Served, status: int, tenant: str, conversation: str = "c1") -> httpx2.Response:
    """Call until the answer has a status."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        answer = call(gateway, tenant, conversation)
        if answer.status_code == status:
            return answer
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def rows(gateway: Served, tenant: str, conversation: str = "c1") -> Any:
    headers = {"x-bursar-tenant": tenant, "x-bursar-conversation": conversation}
    return httpx2.get(f"{gateway.url}/v1/bursar/budget", headers=headers).json()["rows"]


def test_a_limit_that_is_below_what_is_spent_refuses_soon_and_forgets_nothing(gateway: Served) -> None:
    assert call(gateway, "acme").status_code == 200
    assert call(gateway, "acme", "c2").status_code == 200
    spent_nusd = sum(entry.cost_nusd or 0 for entry in gateway.entries())
    command(gateway, "budget", "set", "--scope", "tenant:acme", "--limit-usd", "0.0003", "--window", "day")
    # New conversations, so that no cap is in the way.
    numbers = iter(range(100))
    deadline = time.monotonic() + WITHIN_S
    while (answer := call(gateway, "acme", f"n{next(numbers)}")).status_code == 200:
        spent_nusd = sum(entry.cost_nusd or 0 for entry in gateway.entries())
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert answer.status_code == 402
    error = answer.json()["error"]
    assert error["scope"] == "tenant:acme"
    assert error["spent_usd"] == f"0.{spent_nusd:09d}"
    (row,) = [row for row in rows(gateway, "acme") if row["scope"] == "tenant:acme"]
    (shown,) = command(gateway, "budget", "show", "--scope", "tenant:acme")["rows"]
    assert row["current_cost"] == shown["current_cost"] == f"0.{spent_nusd:09d}"
    assert row["blocked"] is shown["blocked"] is True


def test_a_capped_conversation_goes_on_once_its_cap_is_raised_and_stops_there(gateway: Served) -> None:
    assert [call(gateway, "acme").status_code for _ in range(3)] == [200, 200, 402]
    assert "not above the 2 turns" in command(
        gateway, "conversation", "resume", "c1", "--tenant", "acme", "--limit-turns", "2", fails=True
    )
    command(gateway, "conversation", "resume", "c1", "--tenant", "acme", "--limit-turns", "3")
    until_answered(gateway, 200, "acme")
    assert call(gateway, "acme").status_code == 402
    # Over HTTP it is in force at once but for the second in which it was asked.
    url = f"{gateway.url}/v1/bursar/conversations/c1/resume"
    operator = {"x-bursar-tenant": "acme", "x-bursar-key": "open sesame"}
    raised = httpx2.post(url, headers=operator, json={"limit_turns": 4})
    assert [row["limit"] for row in raised.json()["rows"]] == [4]
    until_answered(gateway, 200, "acme")
    # Nobody else's cap has risen.
    assert [call(gateway, "other").status_code for _ in range(3)] == [200, 200, 402]


def test_a_stopped_tenant_is_refused_and_others_are_not(gateway: Served) -> None:
    command(gateway, "stop", "tenant:acme", "--reason", "a loop")
    refused = until_answered(gateway, 403, "acme")
    assert refused.json()["error"]["type"] == "stopped"
    assert call(gateway, "other").status_code == 200
    assert command(gateway, "budget", "show")["stops"] == [{"scope": "tenant:acme", "reason": "a loop"}]
    command(gateway, "resume", "tenant:acme")
    until_answered(gateway, 200, "acme", "fresh")


def test_a_restart_and_a_kill_forget_neither_budgets_nor_what_was_spent(
    gateway: Served, double: Served, tmp_path: Path
) -> None:
    command(gateway, "budget", "set", "--scope", "tenant:acme", "--limit-usd", "50", "--window", "month")
    assert call(gateway, "acme").status_code == 200
    before = [row for row in command(gateway, "budget", "show")["rows"] if row["scope"] == "tenant:acme"]
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.wait(10)
    with served_again(double, tmp_path) as again:
        after = [row for row in rows(again, "acme") if row["scope"] == "tenant:acme"]
        same = ("scope", "window", "limit", "current_cost", "held")
        assert [{key: row[key] for key in same} for row in after] == [
            {key: row[key] for key in same} for row in before
        ]
        assert [call(again, "acme").status_code for _ in range(2)] == [200, 402]


def test_no_tenant_sees_anything_of_anothers(gateway: Served) -> None:
    command(gateway, "budget", "set", "--scope", "tenant:*", "--limit-usd", "50", "--window", "month")
    command(gateway, "budget", "set", "--scope", "organisation", "--limit-usd", "900", "--window", "month")
    assert call(gateway, "canary", "canary-talk").status_code == 200
    time.sleep(2.5)
    seen = rows(gateway, "acme", "canary-talk")
    assert {row["scope"] for row in seen} == {"tenant:acme", "conversation:acme/canary-talk"}
    assert all(row["current_cost"] in {0, "0.000000000"} for row in seen)
    assert {row["scope"] for row in command(gateway, "budget", "show")["rows"]} == {
        "organisation",
        "tenant:canary",
        "conversation:canary/canary-talk",
    }
