"""Notifiers behind Apprise URLs, of which nothing is ever shown."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bursar.adapters.alerts.apprise_notifier import AppriseNotifier
from bursar.domain.alerts import Message, Rejected
from bursar.errors import BadSetting

SECRET = "hush-hush-token"


class Hook:
    """A server that answers with a status and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.sent: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.sent.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.server.server_port}/{SECRET}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What reaches the log at the most talkative level. pytest's own handler also hears what does not."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    root, handler = logging.getLogger(), Handler()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield found
    root.setLevel(before)
    root.removeHandler(handler)


def test_a_message_arrives_as_it_was_written(hook: Hook) -> None:
    body = "first line\n\nwith <b>signs</b> & *stars*\n- and a list"
    assert AppriseNotifier(hook.url).send(Message("a title", body)) is None
    (sent,) = hook.sent
    assert (sent["title"], sent["message"]) == ("a title", body)


def test_a_message_that_is_not_taken_says_why_without_the_url(hook: Hook, logged: list[str]) -> None:
    hook.status = 500
    notifier = AppriseNotifier(hook.url)
    rejected = notifier.send(Message("t", "b"))
    assert isinstance(rejected, Rejected)
    assert "500" in rejected.reason
    assert SECRET not in rejected.reason + "".join(logged)


def test_one_that_cannot_be_reached_is_told_of(hook: Hook) -> None:
    notifier = AppriseNotifier("json://127.0.0.1:9/x")
    rejected = notifier.send(Message("t", "b"))
    assert rejected is not None
    assert "127.0.0.1" in rejected.reason


NO_URLS = ["hello", f"nonsense://{SECRET}", "json://", f"slack://{SECRET}", "mailto://", ""]


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_of_a_service_is_refused_without_being_shown(url: str, logged: list[str]) -> None:
    with pytest.raises(BadSetting, match="no Apprise URL") as found:
        AppriseNotifier(url)
    assert SECRET not in str(found.value) + "".join(logged)


def test_a_plugin_that_breaks_rejects_the_message(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = AppriseNotifier(hook.url)

    def fail(**_: object) -> bool:
        raise OSError(SECRET)

    monkeypatch.setattr(notifier._service, "notify", fail)
    assert notifier.send(Message("t", "b")) == Rejected("its plugin failed (OSError)")


def test_a_reason_loses_whatever_stands_in_the_url(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = AppriseNotifier("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23general")

    def say(**_: object) -> bool:
        logging.getLogger("apprise").warning(
            "no /A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ at T1JJ3T3L2 for #general"
        )
        return False

    monkeypatch.setattr(notifier._service, "notify", say)
    assert notifier.send(Message("t", "b")) == Rejected("no /…/… at … for …")
