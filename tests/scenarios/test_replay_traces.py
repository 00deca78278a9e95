"""Real conversations through replay. The traces lie beside the project; it carries none of them."""

import json
from itertools import islice
from pathlib import Path

import pytest

from bursar.domain.report import report_of
from bursar.replay.files import Skipped, Watching, open_recordings
from bursar.replay.timeline import Pace, Timeline
from bursar.replay.transcripts import Asking
from bursar.settings import Settings
from bursar.wiring.replay import build_replay

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the traces are not here")


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-4o", "gpt-6.1-sol"])
@pytest.mark.parametrize("name", ["airline", "software-engineer", "research-team"])
def test_the_first_conversations_cost_at_least_the_bound(name: str, model: str) -> None:
    watching = Watching(Skipped(), lambda _: None, lambda _: None)
    (items,) = open_recordings([str(DATA / f"{name}.jsonl")], watching)
    tools = json.loads((DATA / "airline-tools.json").read_bytes()) if name == "airline" else ()
    runner, bound = build_replay(Settings(), bounded=True)
    timeline = Timeline([islice(items, 4)], Asking(model, tools), Pace(10.0, 1, 1_795_000_000.0))
    total = report_of(runner.play(timeline), ()).total
    assert bound is not None
    assert runner.run.refused_calls == 0
    assert 0 < bound.total_nusd() <= total.cost_nusd
