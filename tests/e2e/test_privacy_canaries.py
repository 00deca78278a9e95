"""No prompt, answer, key or user leaves but to whom it belongs: canaries through all that a gateway does.

The gateway is the real one, on a real socket, in this process, so that all that it logs is seen. What it
keeps and tells is then gone through, byte by byte.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.cli.main import app as cli
from bursar.domain.alerts import Message, Rejected
from bursar.domain.anomalies import AnomalyKind
from bursar.drivers.asynchronous import CallDriver
from bursar.exchange import planning
from bursar.gateway.app import Gateway
from bursar.policy.anomalies.baseline import Departure
from bursar.policy.anomalies.watch import AnomalyWatch
from bursar.settings import parse
from bursar.settings.notify import NotifySection
from bursar.settings.stored import Act
from bursar.wiring import alerts
from bursar.wiring.gateway import build_gateway
from bursar.wiring.keys import KeyDesk
from loop_messages import Talk
from provider_answers import completion, message, message_events
from scripted_world import until
from served_here import serving_here

# Each stands for one thing that is somebody's own. No other text holds any of them by chance.
CANARIES = {
    "system": "CanarySystem7f3a91",
    "question": "CanaryQuestion51c0de",
    "arguments": "CanaryArguments0b7e44",
    "result": "CanaryResult9d21fa",
    "answer": "CanaryAnswer3e8c05",
    "malformed": "CanaryMalformed6a4b19",
    "path": "CanaryPath2c9f70",
    "header": "CanaryHeader8e1d33",
    "echoed": "CanaryEchoed4f5a6b",
    "streamed": "CanaryStreamed77aa10",
    "raised": "CanaryRaised19e2c4",
    "client_key": "sk-CanaryClientKey5b6d",
    "operator_key": "sk-CanaryOperatorKey8a0f",
    "operator_token": "CanaryOperatorToken2d4c",
    "notifier_url": "CanaryNotifierUrl6e2b",
}
USER = "CanaryUser40b1d7"

# What calls say is kept for a while, where that saves money: nowhere else.
CONTENT = frozenset({"system", "question", "arguments", "result", "answer"})
CONTENT_FILE = re.compile(r"content\.db(-wal|-shm)?")
# Whom a call is for is what the ledger is about, and what is noted of a call under way.
USER_FILES = re.compile(r"ledger\.db(-wal|-shm)?|\d+-[0-9a-f]+\.v\d+\.\w+")

HEADERS = {"anthropic-version": "2023-06-01"}
SCALE = 20.0

CONFIG = {
    "server": {"admin_key_env": "CANARY_TOKEN"},
    "providers": {"anthropic": {"api_key_env": "CANARY_OPERATOR", "deadline_s": 60, "timeout_s": 20}},
    "budgets": [
        {
            "scope": "tenant:acme",
            "limit_usd": "0.01",
            "window": "day",
            "ladder": [{"at": "0.01", "actions": ["notify:admin"]}],
        },
        {
            "scope": "organisation",
            "limit_usd": "1",
            "window": "day",
            "ladder": [{"at": "0.001", "actions": ["notify:admin"]}],
        },
        {"scope": "tenant:poor", "limit_usd": "0.000000001", "window": "day"},
    ],
    "notify": {"admin": {"url_env": "CANARY_URL"}},
    "anomalies": {"notify": ["admin"], "min_usd_per_hour": "0.000001"},
    "defaults": {
        "tool_results": {"mode": "truncate", "max_tokens": 30},
        "loops": {"notify": ["admin"]},
    },
}


class Inbox:
    """A notifier that keeps what it is sent, and refuses the first message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._refuses = True

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.messages]

    def send(self, message: Message) -> Rejected | None:
        self.messages.append(message)
        refuses, self._refuses = self._refuses, False
        return Rejected("it is full") if refuses else None


@dataclass
class Seen:
    """What left, or was kept, by what it was."""

    texts: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, what: str, text: str | bytes) -> None:
        decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        self.texts[what] = self.texts.get(what, "") + decoded

    def leaks(self, canaries: Mapping[str, str]) -> Iterator[str]:
        for what, text in self.texts.items():
            for name, canary in canaries.items():
                if canary.lower() not in text.lower():
                    continue
                if name in CONTENT and CONTENT_FILE.fullmatch(what):
                    continue
                if name == "user" and (USER_FILES.fullmatch(what) or what == "report --by user"):
                    continue
                at = text.lower().index(canary.lower())
                yield f"{name} in {what}: …{text[max(0, at - 80) : at + 80]!r}"


def whole(body: Any, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def answer_to(task: str, body: Mapping[str, Any]) -> bytes:
    """Answer as a provider would that keeps nothing to itself."""
    asked = json.dumps(body)
    match task:
        case "echo 400":
            error = {"type": "invalid_request_error", "message": f"{CANARIES['echoed']}: no good: {asked}"}
            return whole({"type": "error", "error": error}, "400 Bad Request")
        case "echo 500":
            return whole(f"{CANARIES['echoed']} {asked}", "500 Internal Server Error")
        case "garbage":
            return whole([CANARIES["answer"], asked])
        case "cut":
            events = b"".join(message_events(words=[CANARIES["streamed"], " more"])[:3])
            return (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"%x\r\n%s\r\n" % (len(events), events)
            )
        case _ if str(body["model"]).startswith("gpt"):
            return whole(completion(text=CANARIES["answer"]))
        case _:
            return whole(message(text=CANARIES["answer"]))


async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
        task = re.search(r"(?i)^x-bursar-task: (.*)\r$", head, re.MULTILINE)
        assert length is not None
        body = json.loads(await reader.readexactly(int(length[1])))
        writer.write(answer_to("" if task is None else task[1], body))
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    server = await asyncio.start_server(answer_one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def asked(**fields: Any) -> dict[str, Any]:
    """A call that holds a canary wherever something can be said."""
    rows = [{"row": number, "note": CANARIES["result"] * 3} for number in range(40)]
    use = {"type": "tool_use", "id": "t1", "name": "find", "input": {"for": CANARIES["arguments"]}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": json.dumps(rows)}
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 50,
        "system": CANARIES["system"] * 5,
        "metadata": {"user_id": USER},
        "messages": [
            {"role": "user", "content": CANARIES["question"]},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ],
        **fields,
    }


class Play:
    """Calls of all kinds on a gateway that runs."""

    def __init__(self, client: httpx2.AsyncClient, key: str) -> None:
        self._client = client
        self._key = key

    async def call(
        self, body: Any, task: str = "", path: str = "/v1/messages", **labels: str
    ) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**HEADERS, "x-bursar-key": self._key, "x-bursar-tenant": "acme", "x-bursar-task": task}
        if path.startswith("/v1/chat"):
            headers["authorization"] = f"Bearer {CANARIES['client_key']}"
        headers |= {f"x-bursar-{name}": text for name, text in labels.items()}
        return await self._client.post(path, content=content, headers={n: v for n, v in headers.items() if v})

    async def everything(self) -> None:
        """Play all that has a canary in it; the answers are the callers' own."""
        cold = asked(temperature=0)
        for _ in range(2):
            # The second is answered by what was kept.
            assert (await self.call(cold, tenant="rich")).status_code == 200
        chat = {
            "model": "gpt-4o",
            "user": USER,
            "messages": [{"role": "user", "content": CANARIES["question"]}],
        }
        assert (await self.call(chat, path="/v1/chat/completions", tenant="rich")).status_code == 200
        assert (await self.call(asked())).status_code == 200
        assert (await self.call(asked(), tenant="poor")).status_code == 402
        for malformed in (
            f'{{"model": "{CANARIES["malformed"]}',
            f'{{"messages": "{CANARIES["malformed"]}"}}',
        ):
            assert (await self.call(malformed.encode(), tenant="rich")).status_code == 400
        unknown = await self.call(asked(model=CANARIES["malformed"]), tenant="rich")
        assert unknown.status_code == 400
        lost = f"/v1/{CANARIES['path']}?q={CANARIES['path']}"
        assert (await self.call(b"{}", path=lost)).status_code == 404
        assert (await self.call(b"{}", path=f"/v1/models?k={self._key}")).status_code == 401
        assert (await self.call(asked(), header=CANARIES["header"] * 4_000)).status_code == 431
        assert (await self.call(asked(), tags=f"no tag {CANARIES['header']}")).status_code == 400
        echoed = await self.call(asked(), "echo 400", tenant="rich")
        assert CANARIES["echoed"] in echoed.text
        assert (await self.call(asked(), "echo 500", tenant="rich")).status_code == 500
        assert (await self.call(asked(), "garbage", tenant="rich")).status_code == 502
        cut = await self.call(asked(stream=True), "cut", tenant="rich")
        assert CANARIES["streamed"] in cut.text
        await self._loop()

    async def fail_inside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a technique break, then the call itself, each with a prompt in what it raises."""

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError(f"{CANARIES['raised']}: {asked()}")

        with monkeypatch.context() as patched:
            patched.setattr(planning, "rewrite_results", broken)
            assert (await self.call(asked(), tenant="rich")).status_code == 200
        with monkeypatch.context() as patched:
            patched.setattr(CallDriver, "run", broken)
            failed = await self.call(asked(), tenant="rich")
            assert failed.status_code == 502
            assert CANARIES["raised"] not in failed.text

    async def _loop(self) -> None:
        talk = Talk(CANARIES["question"])
        answers: list[httpx2.Response] = []
        for _ in range(6):
            talk.use("find", {"for": CANARIES["arguments"]}, CANARIES["result"])
            body = {**talk.body("anthropic.messages"), "max_tokens": 50, "metadata": {"user_id": USER}}
            answers.append(await self.call(body, tenant="rich", conversation="round"))
        assert answers[-1].status_code == 402
        assert "no progress" in answers[-1].text


def find_something(watch: AnomalyWatch, now_s: float) -> list[Any]:
    """Find every subject unusual, in several ways, by what was seen of its calls."""
    # The way to a finding takes days of traffic; what is said of one does not.
    subjects: Any = watch._subjects.values()  # pyright: ignore[reportPrivateUsage] - as above
    found: list[Any] = []
    for subject in subjects:
        for call in list(subject._recent)[-1:]:
            for kind in (AnomalyKind.CONVERSATION, AnomalyKind.NEW_MODEL, AnomalyKind.CACHE_MISSES):
                unusual = Departure(1.0, 9.0, now_s)
                subject._find(kind, unusual, now_s, conversation=call.conversation, model="m")
        found += subject.found
        subject.found = []
    return found


async def look_around(client: httpx2.AsyncClient, key: str, seen: Seen) -> None:
    """Ask for all that a gateway tells to others than those whose calls they were."""
    rival = {"x-bursar-key": key, "x-bursar-tenant": "rival", **HEADERS}
    token = {"authorization": f"Bearer {CANARIES['operator_token']}"}
    for path, headers in (
        ("/metrics", {}),
        ("/health/live", {}),
        ("/health/ready", {}),
        ("/v1/bursar/budget", rival),
        ("/v1/bursar/results/" + "0" * 32, rival),
        ("/v1/bursar/keys", token),
        ("/v1/bursar/keys", rival),
        ("/", rival),
    ):
        answer = await client.get(path, headers=headers)
        seen.add(f"GET {path}", f"{answer.headers} {answer.text}")


COMMANDS = (
    *(
        ("report", "--by", by)
        for by in ("tenant", "agent", "model", "conversation", "user", "task", "tag", "component")
    ),
    ("doctor",),
    ("alert", "list", "--all"),
    ("anomaly", "list"),
    ("key", "list"),
    ("budget", "show"),
)


def run_commands(data_dir: Path, seen: Seen) -> None:
    for arguments in COMMANDS:
        for form in ((), ("--json",)):
            done = CliRunner().invoke(cli, [*arguments, *form, "--data-dir", str(data_dir)])
            assert done.exit_code == 0, (arguments, done.output, done.exception)
            seen.add(" ".join(arguments), done.output)


def read_files(data_dir: Path, seen: Seen) -> None:
    for file in data_dir.rglob("*"):
        if file.is_file():
            seen.add(file.name, file.read_bytes())


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that this process logged, but for what the test's own client did."""
    own = [record for record in caplog.records if not record.name.startswith(("httpx2", "httpcore2"))]
    return "\n".join(caplog.handler.format(record) for record in own)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Inbox:
    made = Inbox()

    def build_notifier(_name: str, _section: NotifySection) -> Inbox:
        return made

    monkeypatch.setattr(alerts, "build_notifier", build_notifier)
    monkeypatch.setattr(AnomalyWatch, "judge", find_something)
    monkeypatch.setenv("CANARY_TOKEN", CANARIES["operator_token"])
    monkeypatch.setenv("CANARY_OPERATOR", CANARIES["operator_key"])
    monkeypatch.setenv("CANARY_URL", f"json://127.0.0.1/{CANARIES['notifier_url']}")
    return made


def built(data_dir: Path, upstream: str) -> Gateway:
    providers: Any = CONFIG["providers"]
    own = {
        "anthropic": {**providers["anthropic"], "base_url": upstream},
        "openai": {"base_url": f"{upstream}/v1"},
    }
    settings = parse({**CONFIG, "storage": {"dir": str(data_dir)}, "providers": own}, "test")
    return build_gateway(settings, time_scale=SCALE)


async def test_no_canary_is_told_or_kept_where_it_does_not_belong(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = Seen()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    key = KeyDesk(SqliteAdmin.open(data_dir), Act("test", 0.0)).create({"tenant": "*"})["key"]
    async with provider() as upstream, serving_here(built(data_dir, upstream)) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
            play = Play(client, key)
            await play.everything()
            await play.fail_inside(monkeypatch)
            # Alerts of budgets and notices of what was found come by themselves.
            kinds = ("has used", "unusual spending", "stopped")
            await until(lambda: all(any(kind in title for title in inbox.titles) for kind in kinds))
            # The first notice was refused, and is told again.
            await look_around(client, key, seen)
        read_files(data_dir, seen)
    await asyncio.to_thread(run_commands, data_dir, seen)
    read_files(data_dir, seen)
    seen.add("log", logged(caplog))
    seen.add("messages", "\n".join(f"{each.title}\n{each.body}" for each in inbox.messages))
    assert list(seen.leaks({**CANARIES, "user": USER, "virtual_key": key[3:]})) == []
    # It has been looked at where something is.
    assert USER in seen.texts["report --by user"]
    assert all(
        CANARIES[name] in "".join(seen.texts.get(f, "") for f in ("content.db", "content.db-wal"))
        for name in ("result", "answer")
    )
    assert "stopped" in seen.texts["log"]
    assert "RuntimeError" in seen.texts["log"]
    assert "conversation" in seen.texts["anomaly list"]
    assert "tenant:acme" in seen.texts["alert list --all"]


def test_a_canary_is_found_wherever_it_does_not_belong() -> None:
    seen = Seen()
    allowed = {"content.db": "question", "ledger.db-wal": "user", "report --by user": "user"}
    everything = {**CANARIES, "user": USER}
    for what, name in allowed.items():
        seen.add(what, everything[name])
    assert list(seen.leaks(everything)) == []
    for what, name in (
        ("log", "question"),
        ("content.db", "client_key"),
        ("ledger.db", "answer"),
        ("GET /metrics", "user"),
        ("report --by tenant", "user"),
    ):
        seen = Seen()
        seen.add(what, f"said: {everything[name].upper()}!".encode())
        assert [leak.split(":")[0] for leak in seen.leaks(everything)] == [f"{name} in {what}"]
