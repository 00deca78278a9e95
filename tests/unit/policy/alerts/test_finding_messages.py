"""What people are told of anomalies and of stopped conversations."""

import pytest

from bursar.domain.alerts import FindingKind
from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.policy.alerts.findings import find_anomaly, find_loop
from bursar.view.loop_watch import Stop

FOUND = Anomaly(AnomalyKind.CALLS, "a/cme", "desk", "triage", 1_000, 9_000, 5.0, 60.0, ("op-1", "op-2"))
STOP = Stop("acme", "c 1", b"\x01\x02", "it called find 4 times in a row", 5.0, notify=("oncall",))


def test_an_anomaly_says_whose_it_is_what_is_usual_and_which_calls_drove_it() -> None:
    finding = find_anomaly(FOUND, ("oncall",))
    assert (finding.kind, finding.scope, finding.topic) == (
        FindingKind.ANOMALY,
        "agent:a%2Fcme/desk",
        "triage",
    )
    assert (finding.found_at_s, finding.notify) == (60.0, ("oncall",))
    assert finding.message.title == "Bursar: unusual spending of agent desk of a/cme, task triage"
    body = finding.message.body.splitlines()
    assert body[0] == "9.0 calls a minute are made; usual is 1.0."
    assert {"op-1", "op-2", "To stop all its calls: bursar stop agent:a%2Fcme/desk"} <= set(body)


def test_a_stopped_conversation_says_why_and_how_it_goes_on() -> None:
    finding = find_loop(STOP)
    assert (finding.kind, finding.scope) == (FindingKind.LOOP, "conversation:acme/c 1")
    assert (finding.topic, finding.found_at_s, finding.notify) == ("0102", 5.0, ("oncall",))
    assert finding.message.title == "Bursar: conversation c 1 of acme was stopped"
    body = finding.message.body.splitlines()
    assert body[0] == "It makes no progress: it called find 4 times in a row."
    assert body[-1] == "To let it go on: bursar conversation resume 'c 1' --tenant acme"


@pytest.mark.parametrize("name", ["x\nTo pay: click here", "x" * 500, "x\x1b[2J"])
def test_names_write_no_lines_of_their_own(name: str) -> None:
    stop = Stop(name, name, b"m", f"it called {name}", 5.0)
    anomaly = Anomaly(AnomalyKind.CONVERSATION, name, name, name, 1, 2, 5.0, 60.0, (), name, name)
    for finding in (find_loop(stop), find_anomaly(anomaly, ())):
        lines = [finding.message.title, *finding.message.body.splitlines()]
        assert len(lines) <= 8
        assert all(line.isprintable() for line in lines)
        assert not any(line.startswith("To pay") for line in lines)
        assert len(finding.message.title) < 200
