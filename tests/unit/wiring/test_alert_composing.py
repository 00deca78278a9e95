"""What a message takes from the ledger: of the alert's scope and window only."""

from pathlib import Path

import msgspec

from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.domain.alerts import Alert
from bursar.domain.attribution import Attribution
from bursar.domain.reservations import Counter, Period, Unit
from bursar.errors import StoreFailed
from bursar.wiring.alerts import compose
from ledger_entries import entry

DAY_S = 86_400
NOW_S = 20_000 * DAY_S + 12 * 3600.0
USD = 10**9


def alert(scope: str, unit: Unit = Unit.NUSD) -> Alert:
    counter = Counter(scope, unit, Period.DAY, 20_000 * DAY_S, 20_001 * DAY_S)
    return Alert(1, counter, 500, 100 * USD, 50 * USD, "No/Such_Zone", ("notify:ann",), NOW_S)


async def test_drivers_are_those_of_the_scope_and_the_window(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    calls = [
        ("acme", "desk", "c1", NOW_S - 60, 3 * USD),
        ("acme", "desk", "c2", NOW_S - 7200, 4 * USD),
        ("acme", "mail", "c3", NOW_S - 60, 5 * USD),
        ("acme", "mail", "c4", NOW_S - DAY_S, 40 * USD),
        ("acme", "mail", "c5", NOW_S - 60, None),
        ("other", "desk", "c6", NOW_S - 60, 80 * USD),
    ]
    for number, (tenant, agent, conversation, at_s, cost_nusd) in enumerate(calls):
        await ledger.record(
            msgspec.structs.replace(
                entry(),
                operation_id=f"op-{number}",
                attribution=Attribution(tenant, agent, conversation=conversation),
                at_s=at_s,
                model="claude-sonnet-4-6",
                cost_nusd=cost_nusd,
                cost_max_nusd=cost_nusd,
            )
        )
    body = compose(ledger, alert("tenant:acme")).body
    assert "In the last hour: $8.00." in body
    assert "Most by agents: desk ($7.00), mail ($5.00)." in body
    assert "Most by conversations: c3 ($5.00), c2 ($4.00), c1 ($3.00)." in body
    assert "Most by models: claude-sonnet-4-6 ($12.00)." in body
    own = compose(ledger, alert("agent:acme/mail")).body
    assert "Most by agents" not in own
    assert "Most by conversations: c3 ($5.00)." in own
    ledger.close()


def test_a_ledger_that_cannot_be_read_leaves_a_message_without_its_facts() -> None:
    class Broken:
        def amount(self, *_: object) -> int:
            raise StoreFailed("the disk is gone")

    body = compose(Broken(), alert("tenant:acme")).body
    assert "tenant:acme has used $50.00 of $100.00 a day (50 %)." in body
    assert "Most by" not in body
