"""`bursar tenant erase` beside a running gateway: all of it goes, from memory too, and nothing else."""

import json
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from served_processes import BURSAR, Served, serving

CONFIG = """
[[budgets]]
scope = "organisation"
limit_usd = "50"
window = "day"
[[budgets]]
scope = "tenant:*"
limit_usd = "1"
window = "day"
ladder = [{ at = 0.001, actions = ["notify:nobody"] }]
[[budgets]]
scope = "conversation:*"
limit_turns = 90
window = "total"
[defaults.tool_results]
mode = "truncate"
max_tokens = 30
"""
TENANT = "acme-erased-7f3"
NAMES = (TENANT, "desk-agent-91c", "talk-5d2e8a", "user-c0ffee-17", "tag-b4dcafe", "Canary-said-51c0de")
WITHIN_S = 8.0


@pytest.fixture
def gateway(double: Served, tmp_path: Path) -> Iterator[Served]:
    httpx2.post(f"{double.url}/reset")
    with served(double, tmp_path) as running:
        yield running


@contextmanager
def served(double: Served, directory: Path) -> Generator[Served]:
    (directory / "bursar.toml").write_text(CONFIG)
    upstream = f"--upstream=anthropic={double.url}"
    with serving("serve", directory, "--config", "bursar.toml", upstream) as running:
        yield running


def question(said: str, **fields: Any) -> dict[str, Any]:
    rows = [{"row": number, "note": said * 3} for number in range(40)]
    use = {"type": "tool_use", "id": "t1", "name": "find", "input": {"for": said}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": json.dumps(rows)}
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 20,
        "temperature": 0,
        "messages": [
            {"role": "user", "content": said},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ],
        **fields,
    }


def call(gateway: Served, tenant: str, key: str, said: str = "Hello", **fields: Any) -> httpx2.Response:
    labels = {"agent": "clerk"}
    if tenant == TENANT:
        labels = {"agent": NAMES[1], "conversation": NAMES[2], "tags": f"team={NAMES[4]}"}
        fields = {"metadata": {"user_id": NAMES[3]}, **fields}
    return httpx2.post(
        f"{gateway.url}/v1/messages",
        headers={
            "anthropic-version": "2023-06-01",
            "x-api-key": "k",
            **({"x-bursar-key": key} if key else {}),
            "x-bursar-tenant": tenant,
            **{f"x-bursar-{name}": text for name, text in labels.items()},
        },
        json=question(said, **fields),
        timeout=30,
    )


def run(gateway: Served, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    own = [] if arguments[0] == "report" else ["--config", "bursar.toml"]
    return subprocess.run(
        [BURSAR, *arguments, *own, "--data-dir", str(gateway.data_dir)],
        capture_output=True,
        cwd=gateway.data_dir.parent,
        timeout=60,
        check=False,
    )


def told(gateway: Served, *arguments: str) -> Any:
    done = run(gateway, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until(gateway: Served, tenant: str, key: str, status: int, said: str = "Hello") -> httpx2.Response:
    deadline = time.monotonic() + WITHIN_S
    while (answer := call(gateway, tenant, key, said)).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer


def holding(gateway: Served, *names: str) -> list[tuple[str, str]]:
    """Return the files that hold any of some names."""
    return [
        (file.name, name)
        for file in gateway.data_dir.rglob("*")
        if file.is_file()
        for name in names
        if name.encode() in file.read_bytes()
    ]


class Crowd:
    """Somebody else's calls, one after another, until they are no longer wanted."""

    def __init__(self, gateway: Served, key: str) -> None:
        self.statuses: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_calling, args=(gateway, key))

    def _keep_calling(self, gateway: Served, key: str) -> None:
        while not self._ended.is_set():
            said = f"Question {len(self.statuses)}"
            self.statuses.append(call(gateway, "rival", key, said).status_code)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def spent(gateway: Served, tenant: str, key: str) -> dict[str, Decimal]:
    headers = {"x-bursar-tenant": tenant, **({"x-bursar-key": key} if key else {})}
    rows = httpx2.get(f"{gateway.url}/v1/bursar/budget", headers=headers).json()["rows"]
    amounts = {row["scope"]: Decimal(row["current_cost"] or 0) for row in rows}
    return {scope: amount for scope, amount in amounts.items() if amount}


def test_a_tenant_is_erased_beside_a_running_gateway(gateway: Served, double: Served) -> None:
    key = told(gateway, "key", "create", "--tenant", "*")["key"]
    own = told(gateway, "key", "create", "--tenant", TENANT)
    told(
        gateway,
        "budget",
        "set",
        "--scope",
        f"agent:{TENANT}/{NAMES[1]}",
        "--limit-usd",
        "4",
        "--window",
        "day",
    )
    until(gateway, TENANT, own["key"], 200, NAMES[5])
    for number in range(5):
        assert call(gateway, TENANT, key, f"{NAMES[5]} {number}").status_code == 200
    assert call(gateway, TENANT, key, NAMES[5]).headers["x-bursar-cache"] == "hit"
    assert spent(gateway, TENANT, key)[f"tenant:{TENANT}"] > 0
    assert {name for _, name in holding(gateway, *NAMES)} == set(NAMES)
    with Crowd(gateway, key) as crowd:
        erased = told(gateway, "tenant", "erase", TENANT, "--yes")
    assert set(crowd.statuses) == {200}
    assert erased["erased"]["ledger"] == 7
    assert all(erased["erased"][store] for store in ("ledger", "content", "admin", "alerts"))

    assert holding(gateway, *NAMES) == []
    # The books are the same, to the nanodollar; the rival's limits count what they counted.
    bill = httpx2.get(f"{double.url}/bill").json()["cost_usd"]
    report = told(gateway, "report", "--by", "tenant")
    assert report["total"]["cost_usd"] == bill
    assert {row["tenant"] for row in report["rows"]} == {"erased", "rival"}
    (rivals,) = [Decimal(row["cost_usd"]) for row in report["rows"] if row["tenant"] == "rival"]
    assert spent(gateway, "rival", key)["tenant:rival"] == rivals
    (whole,) = told(gateway, "budget", "show", "--scope", "organisation")["rows"]
    assert whole["current_cost"] == bill
    # In memory there is nothing of it either: no spending, no kept answer, and its own key is over.
    assert TENANT not in json.dumps(told(gateway, "budget", "show"))
    assert spent(gateway, TENANT, key) == {}
    assert call(gateway, TENANT, own["key"]).status_code == 401
    assert call(gateway, TENANT, key, NAMES[5]).headers["x-bursar-cache"] == "miss"

    # What it does afterwards is kept as anybody's, until it is erased again.
    assert told(gateway, "tenant", "erase", TENANT, "--yes")["erased"]["ledger"] == 1
    assert holding(gateway, *NAMES) == []


def test_what_is_erased_stays_erased_after_kill_and_restart(
    gateway: Served, double: Served, tmp_path: Path
) -> None:
    for number in range(3):
        assert call(gateway, TENANT, "", f"{NAMES[5]} {number}").status_code == 200
    gateway.process.kill()
    gateway.process.wait(10)
    # What the dead process had noted of calls is in its journal still.
    assert told(gateway, "tenant", "erase", TENANT, "--yes")["erased"]["ledger"] == 3
    assert holding(gateway, *NAMES) == []
    with served(double, tmp_path) as again:
        assert spent(again, TENANT, "") == {}
        (whole,) = told(again, "budget", "show", "--scope", "organisation")["rows"]
        assert whole["current_cost"] == httpx2.get(f"{double.url}/bill").json()["cost_usd"]
    assert holding(gateway, *NAMES) == []


def test_a_tenant_with_calls_under_way_is_not_erased_before_they_end(tmp_path: Path) -> None:
    folder = tmp_path / "double"
    folder.mkdir()
    with (
        serving("double", folder, "--latency-ms", "4000") as slow,
        served(slow, tmp_path) as gateway,
        Crowd(gateway, ""),
    ):
        under_way = threading.Thread(target=call, args=(gateway, TENANT, ""))
        under_way.start()
        deadline = time.monotonic() + WITHIN_S
        while not holding(gateway, TENANT):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        refused = run(gateway, "tenant", "erase", "rival", "--yes")
        assert refused.returncode == 2
        assert b"bursar stop tenant:rival" in refused.stderr
        under_way.join()


def test_an_unknown_tenant_exits_with_2_and_says_what_is_near(gateway: Served) -> None:
    assert call(gateway, TENANT, "").status_code == 200
    done = run(gateway, "tenant", "erase", TENANT[:-1], "--yes")
    assert done.returncode == 2
    assert f"did you mean '{TENANT}'?".encode() in done.stderr
    assert len(gateway.entries()) == 1
