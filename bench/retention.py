"""What later tool calls take from earlier results, and whether it is still there in what was sent.

    python -m bench.retention [--data DIR] [--model M] [--tokens-max N,N]

The airline trace is replayed through the engine that the gateway runs, and what would go upstream is looked
at. Tokens are those of all tool results in all prompts, as the model counts. Exits with 1 if the defaults
lost a value.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.techniques import Case
from bursar.adapters.model_limits import load_model_limits
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.domain.ledger import Component
from bursar.domain.report import Tally, report_of
from bursar.double.provider import Provisions
from bursar.drivers.replaying import Response
from bursar.policy.tool_results.retention import Shown, value_retention
from bursar.ports import UpstreamRequest
from bursar.replay.calls import RecordedCall
from bursar.replay.provider import OpenCatalogue, RecordedProvider
from bursar.replay.runner import Runner
from bursar.settings import Settings
from bursar.wire import raw_json
from bursar.wire.results import read_result_texts
from bursar.wiring.engine import build_engine

_TRACE = "airline.jsonl"


class WatchedProvider(RecordedProvider):
    """Looks at what each answer takes from the tool results before it.

    Attributes:
        taken: Values of tool calls that stand in an earlier result as it came.
        lost: Those that stand in no result of the prompt that was sent,
        gone: and those that stand nowhere in it.
    """

    def __init__(self, provisions: Provisions) -> None:
        super().__init__(provisions)
        self.taken = self.lost = self.gone = 0

    def respond(self, call: RecordedCall, request: UpstreamRequest, at_s: float) -> Response:
        """Look, and answer."""
        if call.speech.calls:
            sent = _results(call.dialect, request.body)
            shown = [
                Shown(came, sent.get(name, "")) for name, came in _results(call.dialect, call.body).items()
            ]
            for spoken in call.speech.calls:
                kept = value_retention(shown, spoken.arguments)
                self.taken += len(kept.taken)
                self.lost += len(kept.lost)
                if kept.lost:
                    whole = [*shown, Shown("", request.body.decode())]
                    self.gone += len(value_retention(whole, spoken.arguments).lost)
        return super().respond(call, request, at_s)


def watched(settings: Settings) -> tuple[Runner, WatchedProvider]:
    """Build a replay whose provider looks at what was sent."""
    engine, tokenizer = build_engine(settings), SplintrTokenizer()
    models = OpenCatalogue(load_model_limits(), engine.prices)
    provider = WatchedProvider(Provisions(engine.prices, engine.rules, engine.ratios, models, tokenizer))
    return Runner(engine, provider, tokenizer), provider


def _results(dialect: str, body: bytes) -> dict[str, str]:
    """Return the texts of a request's tool results by the ids of their calls."""
    texts: dict[str, str] = {}
    for message in raw_json.read_array(raw_json.read_body(body)["messages"], "messages"):
        for result in read_result_texts(dialect, bytes(message)):
            texts[result.call_id] = texts.get(result.call_id, "") + result.text
    return texts


@dataclass(frozen=True, slots=True)
class Form:
    """How tool results are sent: `tool_results` of bursar.toml."""

    name: str
    case: Case
    tool_results: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of it."""

    form: Form
    total: Tally
    taken: int
    lost: int
    gone: int

    @property
    def tokens(self) -> int:
        """Of tool results, in all prompts."""
        return self.total.component_tokens[Component.TOOL_RESULTS]


def measure(form: Form) -> Kept:
    """Replay a trace with its tool results in one form."""
    runner, provider = watched(Settings.model_validate({"defaults": {"tool_results": form.tool_results}}))
    total = report_of(runner.play(form.case.timeline()), ()).total
    return Kept(form, total, provider.taken, provider.lost, provider.gone)


def _forms(case: Case, limits: list[int]) -> Iterator[Form]:
    yield Form("as they came", case, {"mode": "off"})
    yield Form("defaults", case, {})
    for tokens in limits:
        yield Form(f"lossy, {tokens:,} tokens", case, {"mode": "truncate", "max_tokens": tokens})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    parser.add_argument("--model", default="claude-sonnet-4-6")
    parser.add_argument("--tokens-max", default="1000,300,100", help="limits of the lossy forms")
    options = parser.parse_args()
    limits = [int(tokens) for tokens in options.tokens_max.split(",")]
    forms = list(_forms(Case(options.data, _TRACE, options.model), limits))
    print(
        f"{'form':20} {'tokens':>11} {'fewer':>7} {'$':>8} {'taken':>6} {'lost':>5} {'gone':>5} "
        f"{'retention':>10}"
    )
    lost = 0
    with ProcessPoolExecutor(2) as pool:
        first: Kept | None = None
        for kept in pool.map(measure, forms):
            first = first or kept
            lost += kept.lost if kept.form.name == "defaults" else 0
            print(
                f"{kept.form.name:20} {kept.tokens:11,} {1 - kept.tokens / first.tokens:7.1%} "
                f"{kept.total.cost_nusd / 1e9:8.4f} {kept.taken:6,} {kept.lost:5,} {kept.gone:5,} "
                f"{1 - kept.lost / kept.taken:10.2%}",
                flush=True,
            )
    print(
        "\nretention: values still in a result of the prompt; gone: those nowhere in it. By defaults: 100 %."
    )
    sys.exit(lost > 0)


if __name__ == "__main__":
    main()
