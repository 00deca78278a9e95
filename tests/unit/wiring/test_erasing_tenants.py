"""Erasing a tenant from a data directory: all of it goes, and the organisation's sums stay what they are."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from budget_cases import reservation
from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.alerts.outbox import Outbox
from bursar.adapters.anomalies import AnomalyLog, read_anomalies
from bursar.adapters.budget_journal import BudgetJournal
from bursar.adapters.content.sqlite import SqliteContent
from bursar.adapters.ledger.erasing import nobodys
from bursar.adapters.ledger.settled import CountedWindow
from bursar.adapters.ledger.sqlite import FILE_NAME, LedgerReader, SqliteLedger
from bursar.cli.main import app
from bursar.domain.admin import ItemKind
from bursar.domain.alerts import Finding, FindingKind, Message
from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.domain.attribution import ERASED, Attribution
from bursar.domain.holdout import compare
from bursar.domain.ledger import Entry, Status
from bursar.domain.report import ReportKey
from bursar.domain.reservations import Counter, Period, Unit
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern, read_pattern
from bursar.errors import CallerMistake, StoreFailed
from bursar.policy.alerts.crossings import Crossing
from bursar.policy.keys.ring import KeyRing, read_keys
from bursar.ports import ContentKey, ContentKind
from bursar.settings import Settings, parse_budget
from bursar.settings.stored import Act, budget_item, conversation_item, stop_item
from bursar.settings.stored_loops import loop_item
from bursar.view.loop_watch import Stop
from bursar.wiring import erasing
from bursar.wiring.erasing import Eraser
from bursar.wiring.keys import KeyDesk
from ledger_entries import HOUR_S, T0_S, entry, unpriced

ACT = Act("test", T0_S)
WEEK = 7 * 24 * HOUR_S

# What names the tenant and its own, in whatever is kept; long, so that nothing else holds it by chance.
TENANT = "acme-tenant-7f3"
AGENT = "desk-agent-91c"
CONVERSATION = "talk-5d2e8a"
USER = "user-c0ffee-17"
TAG = "tag-b4d-cafe"
TASK = "task-0a9b8c"
MINE = tuple(name.encode() for name in (TENANT, AGENT, CONVERSATION, USER, TAG, TASK))


def call(number: int, tenant: str, **changes: Any) -> Entry:
    """Return a call of a tenant; every third cost is unknown."""
    who = Attribution(
        tenant=tenant,
        agent=AGENT if tenant == TENANT else "clerk",
        task=TASK if tenant == TENANT else "",
        conversation=CONVERSATION if tenant == TENANT else f"other-{number}",
        user=USER if tenant == TENANT else "somebody",
        tags=(("team", TAG),) if tenant == TENANT else (),
        key="k-000000000001" if tenant == TENANT else "",
    )
    made = {
        "at_s": T0_S + 977.25 * number,
        "attribution": who,
        "thread": f"{tenant}-thread",
        "decisions": (f"prefer_cheaper:tenant:{tenant}",),
        **changes,
    }
    operation_id = f"{tenant}-{number}"
    if number % 3 == 2:
        return unpriced(operation_id, **{"cost_max_nusd": 1_000 + number, **made})
    return entry(operation_id, **{"cost_nusd": 450_000 + number, **made})


CALLS = [call(number, TENANT if number % 2 else "rival") for number in range(400)]


def record(data_dir: Path, calls: Sequence[Entry]) -> None:
    async def record_all(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.record(each) for each in calls))

    with closing(SqliteLedger.open(data_dir)) as ledger:
        asyncio.run(record_all(ledger))


def budget(scope: str) -> Any:
    (made,) = parse_budget({"scope": scope, "limit_usd": "5", "window": "day"}, "test").budgets()
    return made


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    record(tmp_path, CALLS)
    return tmp_path


@pytest.fixture
def full(data_dir: Path) -> Path:
    """A directory in which every store has something of two tenants."""
    admin = SqliteAdmin.open(data_dir)
    desk = KeyDesk(admin, ACT)
    for tenant, agent, conversation in ((TENANT, AGENT, CONVERSATION), ("rival", "clerk", "other-1")):
        desk.create({"tenant": tenant, "agent": agent, "limit_usd": "3", "window": "day"})
        admin.put(budget_item(budget(f"tenant:{tenant}"), ACT))
        admin.put(budget_item(budget(f"agent:{tenant}/{agent}"), ACT))
        admin.put(stop_item(read_pattern(f"agent:{tenant}/{agent}"), f"{tenant} runs away", ACT))
        scope = Scope(ScopeKind.CONVERSATION, tenant, conversation)
        admin.put(conversation_item(str(scope), [budget(str(scope))], ACT))
        admin.put(loop_item(Stop(tenant, conversation, b"m", "it called a tool again", T0_S)))
    admin.remove(ItemKind.BUDGET, next(iter(admin.read().items[ItemKind.BUDGET])), "test", T0_S)
    admin.put(budget_item(budget("organisation"), ACT))
    _fill_alerts(Outbox.open(data_dir))
    asyncio.run(_fill_content(data_dir))
    for tenant, agent in ((TENANT, AGENT), ("rival", "clerk")):
        finding = Anomaly(AnomalyKind.CALLS, tenant, agent, "", 1, 9, T0_S, T0_S, ("op",))
        asyncio.run(AnomalyLog(data_dir).found(finding))
    return data_dir


def _fill_alerts(outbox: Outbox) -> None:
    for number, scope in enumerate((f"tenant:{TENANT}", "tenant:rival", "organisation"), 1):
        limited = parse_budget({"scope": scope, "limit_usd": "5", "window": "month"}, "test").budgets()[0]
        counter = Counter(scope, Unit.NUSD, Period.MONTH, 0, 2_000_000_000)
        outbox.record([(Crossing(counter, limited, 5, fresh=limited.ladder[:1]), T0_S)], ["admin"], T0_S)
        body = f"Most by conversations: {CONVERSATION} (3 USD), other-1 (2 USD)."
        outbox.write(number, Message(f"Bursar: {scope}", body if scope == "organisation" else scope))

    for scope in (f"agent:{TENANT}/{AGENT}", "agent:rival/clerk"):
        finding = Finding(
            FindingKind.LOOP, scope, "stopped", T0_S, Message(f"Stopped: {scope}", ""), ("admin",)
        )
        outbox.record_findings([finding], ["admin"], T0_S)


async def _fill_content(data_dir: Path) -> None:
    with closing(SqliteContent.open(data_dir)) as content:
        for tenant in (TENANT, "rival"):
            key = ContentKey(tenant, ContentKind.RESULT, b"d" * 16)
            await content.put(key, f"the table of {tenant}".encode(), WEEK, T0_S)


def eraser(data_dir: Path, tenant: str = TENANT, **settings: Any) -> Eraser:
    made = Settings.model_validate({"storage": {"dir": str(data_dir)}, **settings})
    return Eraser(made, tenant, Act("cli", T0_S + 9), taken_up_s=0.0)


def written(data_dir: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(data_dir.rglob("*")):
        if file.is_file():
            yield file.name, file.read_bytes()


def files(data_dir: Path) -> dict[str, bytes]:
    """Return what lies there, but for what readers of a database leave."""
    return {name: content for name, content in written(data_dir) if not name.endswith(("-shm", "-wal"))}


def windows() -> Iterator[CountedWindow]:
    start_s = int(T0_S)
    for unit in (Unit.NUSD, Unit.TOKENS, Unit.TURNS, Unit.REQUESTS):
        for kind in (ScopeKind.ORGANISATION, ScopeKind.TENANT, ScopeKind.AGENT, ScopeKind.CONVERSATION):
            yield CountedWindow(kind, unit, Period.DAY, start_s + 1_700, start_s + 90_017)


def test_everything_of_a_tenant_goes_and_nothing_of_another(full: Path) -> None:
    before = dict(eraser(full, "rival").find().counts)
    found = eraser(full).find()
    assert set(found.counts) == {"ledger", "content", "admin", "alerts", "anomalies"}
    assert all(found.counts.values())
    assert found.counts["ledger"] == 200
    erased = eraser(full).erase()
    assert erased.counts == {**found.counts, "admin": erased.counts["admin"]}
    for file, content in written(full):
        for name in MINE:
            assert name not in content, (file, name)
    assert dict(eraser(full, "rival").find().counts) == before
    assert [alert.counter.scope for alert in Outbox(full / "alerts.db").newest()] == [
        "organisation",
        "tenant:rival",
    ]
    assert [each.tenant for each in read_anomalies(full, 9)] == ["rival"]


def test_sums_of_the_organisation_are_the_same_to_the_nanodollar(data_dir: Path) -> None:
    ledger = LedgerReader.open(data_dir)
    total, settled = ledger.report().total, ledger.settled(windows())
    rivals = [each for each in ledger.entries() if each.attribution.tenant == "rival"]
    eraser(data_dir).erase()
    assert ledger.report().total == total
    by_tenant = {row.keys: row for row in ledger.report((ReportKey.TENANT,)).rows}
    assert set(by_tenant) == {(ERASED,), ("rival",)}
    assert by_tenant[ERASED,].calls == 200
    # From entries, where roll-ups have no part in it.
    assert sum(row.cost_nusd or 0 for row in ledger.report((ReportKey.USER,)).rows) == total.cost_nusd
    assert [each for each in ledger.entries() if each.attribution.tenant == "rival"] == rivals
    after = ledger.settled(windows())
    # No scope but the organisation's counts the calls of nobody; those of others stand as they stood.
    assert after == {counter: amount for counter, amount in settled.items() if TENANT not in counter.scope}
    assert any(counter.scope == "organisation" for counter in after)


def test_an_erased_call_says_nothing_of_whom_it_was_for() -> None:
    refused = call(
        1, TENANT, status=Status.REFUSED, attempts=(), model=f"model-{USER}", cost_nusd=0, components={}
    )
    for each in (CALLS[1], CALLS[5], refused):
        left = nobodys(each, "drawn")
        assert not any(name.decode() in repr(left) for name in MINE)
        assert left.attribution == Attribution(ERASED, ERASED)
        assert [attempt.attempt_id for attempt in left.attempts] == ["drawn/1"] * len(each.attempts)
        assert replace(left, attempts=()).usage == each.usage
        assert (left.cost_nusd, left.cost_max_nusd, left.baseline_nusd, left.shares) == (
            each.cost_nusd,
            each.cost_max_nusd,
            each.baseline_nusd,
            each.shares,
        )


def test_calls_of_nobody_take_no_part_in_the_comparison_of_a_holdout(tmp_path: Path) -> None:
    modes = ("optimise", "holdout")
    calls = [
        replace(call(number, (TENANT, "rival")[number // 8]), mode=modes[number % 2], at_s=T0_S + number)
        for number in range(16)
    ]
    record(tmp_path, calls)
    ledger = LedgerReader.open(tmp_path)
    assert ledger.report().holdout == compare(calls)
    eraser(tmp_path).erase()
    after = ledger.report().holdout
    assert after == compare(ledger.entries()) == compare(calls[8:])
    assert after is not None
    assert (after.held_out.calls, after.optimised.calls) == (4, 4)


def test_diagnosis_and_every_report_work_on_calls_of_nobody(data_dir: Path) -> None:
    eraser(data_dir).erase()
    for arguments in (["doctor"], *(["report", "--by", key.value] for key in ReportKey)):
        done = CliRunner().invoke(app, [*arguments, "--json", "--data-dir", str(data_dir)])
        assert done.exit_code == 0, (arguments, done.exception)
        assert not any(name.decode() in done.stdout for name in MINE)


def test_a_gateway_whose_last_key_was_the_tenants_stays_closed(data_dir: Path) -> None:
    admin = SqliteAdmin.open(data_dir)
    made = KeyDesk(admin, ACT).create({"tenant": TENANT, "models": "claude-*"})
    eraser(data_dir).erase()
    ring = KeyRing(read_keys(admin.read()))
    assert ring
    assert str(ring.find(made["key"], T0_S)) == "Denial.REVOKED"
    (row,) = KeyDesk(admin, ACT).rows()
    assert (row["id"], row["state"], row["tenant"], row["models"]) == (made["id"], "revoked", "*", [])


def test_the_log_of_changes_keeps_who_and_when_and_names_the_tenant_by_a_hash(full: Path) -> None:
    admin = SqliteAdmin.open_existing(full)
    assert admin is not None
    before = admin.changes(1_000)
    one = eraser(full)
    one.erase()
    after = admin.changes(1_000)
    assert (after[0].kind, after[0].name, after[0].by) == (ItemKind.ERASURE, one.name, "cli")
    # One tells servers to forget, one that it is done.
    assert [(each.version, each.at_s, each.by, each.kind) for each in after[2:]] == [
        (each.version, each.at_s, each.by, each.kind) for each in before
    ]
    hidden = [each for each in after[2:] if each.name == one.name]
    # A key's own limit is named by its id alone.
    assert len(hidden) == 1 + sum(TENANT in f"{each.name}{each.before}{each.after}" for each in before)
    assert all((each.before, each.after) == (None, None) for each in hidden)


def test_it_may_be_called_again_and_finds_what_came_since(full: Path) -> None:
    eraser(full).erase()
    version = SqliteAdmin(full / "admin.db").version()
    again = eraser(full).erase()
    assert again.is_nothing
    assert again.erased_at_s == T0_S + 9
    assert SqliteAdmin(full / "admin.db").version() == version
    record(full, [call(1_001, TENANT)])
    assert eraser(full).erase().counts["ledger"] == 1
    assert TENANT.encode() not in b"".join(content for _, content in written(full))


@pytest.mark.parametrize("broken", ["erase_content", "erase_from_ledger", "erase_from_admin"])
def test_what_was_broken_off_is_finished_by_the_next_try(
    full: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: Any, is_dry_run: bool = False) -> int:
        if is_dry_run:
            return 1
        raise StoreFailed("the disk is full")

    total = LedgerReader.open(full).report().total
    with monkeypatch.context() as patched:
        patched.setattr(erasing, broken, fail)
        with pytest.raises(StoreFailed, match="full"):
            eraser(full).erase()
    assert not eraser(full).find().is_nothing
    eraser(full).erase()
    assert eraser(full).find().is_nothing
    content = b"".join(content for _, content in written(full))
    assert not any(name in content for name in MINE)
    assert LedgerReader.open(full).report().total == total


def test_an_unknown_tenant_is_an_error_and_changes_nothing(full: Path) -> None:
    before = files(full)
    with pytest.raises(CallerMistake, match=f"did you mean '{TENANT}'"):
        eraser(full, TENANT[:-1]).erase()
    with pytest.raises(CallerMistake, match="bursar report --by tenant"):
        eraser(full, "'; DROP TABLE entries; --").erase()
    assert files(full) == before


def test_what_a_process_left_that_died_is_booked_first(data_dir: Path) -> None:
    note = (
        f'{{"at_s":{T0_S},"attribution":{{"tenant":"{TENANT}","agent":"{AGENT}","conversation":"{CONVERSATION}"}},'
        '"dialect":"anthropic.messages","model":"claude-sonnet-4-6","mode":"optimise","stream":false,'
        '"thread":"t","turn":0}'
    )
    journal = BudgetJournal.open(data_dir)
    left = reservation("left-behind", conversation=f"conversation:{TENANT}/{CONVERSATION}")
    journal.opened(replace(left, note=note), T0_S)
    journal.close()
    found = eraser(data_dir).find()
    assert found.under_way == 1
    assert eraser(data_dir).erase().counts["ledger"] == 201
    assert LedgerReader.open(data_dir).report().total.calls == 401
    assert TENANT.encode() not in b"".join(content for _, content in written(data_dir))


def test_what_the_settings_file_says_is_listed_and_stays(data_dir: Path) -> None:
    one = eraser(
        data_dir,
        budgets=[
            {"scope": scope, "limit_usd": "9", "window": "day"} for scope in ("tenant:*", f"tenant:{TENANT}")
        ],
        tenants={TENANT: {"max_output_tokens": 99}},
        agents={f"{TENANT}/{AGENT}": {"max_output_tokens": 99}, "clerk": {"max_output_tokens": 9}},
    )
    left = (
        f"[[budgets]] no. 2, scope tenant:{TENANT}",
        f'[tenants."{TENANT}"]',
        f'[agents."{TENANT}/{AGENT}"]',
    )
    assert one.find().left == one.erase().left == left
    # It is known by that alone.
    record(data_dir, [])
    assert one.find().is_nothing


def test_names_with_blanks_slashes_and_other_scripts_are_erased_too(data_dir: Path) -> None:
    admin = SqliteAdmin.open(data_dir)
    for number, name in enumerate(("a b/c %2F", "größe ☃", "x" * 256)):
        record(data_dir, [call(2_000 + number, name)])
        admin.put(budget_item(_budget_of(name), ACT))
        one = eraser(data_dir, name)
        assert one.find().counts["admin"] == 2, name
        one.erase()
        assert eraser(data_dir, name).find().is_nothing
    assert not admin.read().items[ItemKind.BUDGET]


def _budget_of(tenant: str) -> Any:
    made = budget("tenant:x")
    return replace(made, pattern=ScopePattern.only(Scope(ScopeKind.AGENT, tenant, "desk")))


def test_a_ledger_of_nobody_else_keeps_its_file_name(data_dir: Path) -> None:
    eraser(data_dir).erase()
    eraser(data_dir, "rival").erase()
    assert {each.attribution.tenant for each in LedgerReader.open(data_dir).entries()} == {ERASED}
    assert (data_dir / FILE_NAME).is_file()
