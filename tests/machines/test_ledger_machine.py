"""A ledger driven at random beside a dict of what it ought to hold."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bursar.adapters.ledger.sqlite import LedgerReader, SqliteLedger
from bursar.domain.ledger import Entry
from bursar.domain.report import ReportKey, report_of
from ledger_entries import HOUR_S, T0_S, arbitrary_entries

# Few ids, so that operations are often recorded again, with other content.
few_entries = st.lists(
    arbitrary_entries(st.sampled_from([f"op-{i}" for i in range(12)])), min_size=1, max_size=5
)
moments_s = st.none() | st.sampled_from([T0_S + hours * HOUR_S for hours in (0, 0.5, 1, 1.25, 2, 3)])


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = SqliteLedger.open(self.folder)
        self.model: dict[str, Entry] = {}

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    @rule(entries=few_entries)
    def record(self, entries: list[Entry]) -> None:
        async def record_all() -> None:
            await asyncio.gather(*(self.ledger.record(e) for e in entries))

        asyncio.run(record_all())
        for one in entries:
            self.model.setdefault(one.operation_id, one)

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = SqliteLedger.open(self.folder)

    @rule(
        by=st.lists(st.sampled_from(ReportKey), unique=True, max_size=3), since_s=moments_s, until_s=moments_s
    )
    def report(self, by: list[ReportKey], since_s: float | None, until_s: float | None) -> None:
        within = [
            one
            for one in self.model.values()
            if (since_s is None or one.at_s >= since_s) and (until_s is None or one.at_s < until_s)
        ]
        found = LedgerReader.open(self.folder).report(by, since_s=since_s, until_s=until_s)
        assert found == report_of(within, by)

    @invariant()
    def it_holds_what_was_recorded_first(self) -> None:
        assert {one.operation_id: one for one in self.ledger.entries()} == self.model


LedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
