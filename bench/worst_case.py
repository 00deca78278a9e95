"""Worst cases against bills: every call of every trace, on every model, by a provider that counts otherwise.

    python -m bench.worst_case [--data DIR] [--models M,M] [--skews S,S]

Calls go through all techniques, and the provider double bills them, its counts scaled by a skew. What each
attempt, a summary included, was billed may not be above either bound that holds before it is sent. Answers
are mostly much shorter than they may be, and what is held for that hides what a prompt takes too much. So
each attempt is bounded a second time, as if its answer could have been no longer than it was. That near
bound knows what the calls before have taught of the provider's count; beyond its margin, calls overrun until
that is learned.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.techniques import MODELS, TRACES, Case
from bursar.adapters.maxima_data import load_maxima
from bursar.adapters.model_limits import load_model_limits
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.domain.layout import lay_out
from bursar.double.bill import Bill
from bursar.double.calls import DoubleOptions
from bursar.double.provider import Provisions
from bursar.drivers.replaying import Response
from bursar.exchange.cache_options import read_cache_options
from bursar.exchange.engine import Engine
from bursar.policy.budgets.worst_case import (
    Bounds,
    Caution,
    ModelBounds,
    Sending,
    bound_attempt,
    write_classes,
)
from bursar.ports import UpstreamRequest
from bursar.replay.calls import RecordedCall
from bursar.replay.provider import OpenCatalogue, RecordedProvider
from bursar.replay.runner import Runner
from bursar.settings import Settings
from bursar.wire.dialects import DIALECTS
from bursar.wire.drafts import UNSEEN_MARKS
from bursar.wire.extras import read_extras
from bursar.wire.memo import PieceMemo
from bursar.wiring.engine import build_engine

# Up to this skew, which the default margin of 10 % covers, nothing may overrun.
_COVERED = 1.07


@dataclass(slots=True)
class Tally:
    """What came of one case.

    Attributes:
        calls: Attempts that were billed.
        billed_nusd: What for.
        near_nusd: What the near bounds held for them,
        far_nusd: and the far ones.
        overruns: Attempts above a near bound,
        tight: those above the one that knows the answer's length,
        over_nusd: and by how much in all.
        far_overruns: Attempts above a far bound.
        unbounded: Attempts without a bound.
        bound_s: Time that bounding took.
    """

    calls: int = 0
    billed_nusd: int = 0
    near_nusd: int = 0
    far_nusd: int = 0
    overruns: int = 0
    tight: int = 0
    over_nusd: int = 0
    far_overruns: int = 0
    unbounded: int = 0
    bound_s: float = 0.0

    def add(self, bounds: Bounds, tight: Bounds, billed_nusd: int) -> None:
        far, near, least, least_far = bounds.far.nusd, bounds.near.nusd, tight.near.nusd, tight.far.nusd
        if far is None or near is None or least is None or least_far is None:
            self.unbounded += 1
            return
        self.calls += 1
        self.billed_nusd += billed_nusd
        self.near_nusd += near
        self.far_nusd += far
        self.overruns += billed_nusd > near
        self.far_overruns += billed_nusd > least_far
        if billed_nusd > least:
            self.tight += 1
            self.over_nusd += billed_nusd - least


class WatchedProvider(RecordedProvider):
    """Bounds each request as it is sent, and compares that with what it is billed."""

    def __init__(self, engine: Engine, provisions: Provisions, skew: float) -> None:
        super().__init__(provisions, DoubleOptions(token_skew=skew))
        self._engine = engine
        self._count = provisions.tokenizer.count
        self._memo = PieceMemo()
        self._maxima = load_maxima()
        self._double.bill = Bill(rows_max=1)
        self.tally = Tally()

    def respond(self, call: RecordedCall, request: UpstreamRequest, at_s: float) -> Response:
        sending, model = self._bounded(call.dialect, request, at_s)
        began_s = time.perf_counter()
        bounds = bound_attempt(sending, model, Caution())
        self.tally.bound_s += time.perf_counter() - began_s
        response = super().respond(call, request, at_s)
        if response.status == 200:
            (row,) = self._double.bill.rows()
            answered = replace(sending, output_tokens_max=row.usage.output_tokens)
            self.tally.add(bounds, bound_attempt(answered, model, Caution()), row.cost_nusd)
        return response

    def _bounded(self, dialect: str, sent: UpstreamRequest, at_s: float) -> tuple[Sending, ModelBounds]:
        engine = self._engine
        request = DIALECTS[dialect].read(sent.body, self._memo).counted(self._count)
        model, prompt = request.model, request.prompt
        layout = lay_out(prompt, scope=b"", ratios=engine.ratios.ratios(model))
        price, rules = engine.prices.price(model, at_s), engine.rules.rules(model, at_s)
        writes = write_classes(
            layout.marks.values(),
            read_cache_options(request),
            rules,
            unseen=UNSEEN_MARKS in request.features,
        )
        sending = Sending(
            body_bytes=len(sent.body),
            counted_tokens=layout.total_tokens,
            factor_per_mille=engine.calibration.factor_per_mille(sent.upstream, model),
            pieces=len(prompt.messages) + len(prompt.system),
            output_tokens_max=request.max_tokens,
            writes=writes,
            extras=read_extras(request),
        )
        known = ModelBounds(
            price, request.terms, layout.ratios, engine.windows.find(dialect, model), self._maxima[dialect]
        )
        return sending, known


def measure(case: Case, skew: float) -> tuple[Case, float, Tally]:
    """Replay a case and return what came of it."""
    engine = build_engine(Settings())
    tokenizer = SplintrTokenizer()
    provisions = Provisions(
        prices=engine.prices,
        rules=engine.rules,
        ratios=engine.ratios,
        models=OpenCatalogue(load_model_limits(), engine.prices),
        tokenizer=tokenizer,
    )
    provider = WatchedProvider(engine, provisions, skew)
    for _ in Runner(engine, provider, tokenizer).play(iter(case.timeline())):
        pass
    return case, skew, provider.tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the traces are")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--skews", default="1.0,1.07,1.3", help="the provider's counts over ours")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    runs = [
        (Case(options.data, trace, model), float(skew))
        for skew in options.skews.split(",")
        for trace in TRACES
        for model in options.models.split(",")
    ]
    print(
        f"{'skew':5} {'trace':24} {'model':18} {'calls':>6} {'billed':>9} | near, far of billed "
        "| overruns  (answers known)        USD  far"
    )
    failed = 0
    with ProcessPoolExecutor(options.processes) as pool:
        for case, skew, tally in pool.map(measure, *zip(*runs, strict=True)):
            billed = tally.billed_nusd
            covered = skew <= _COVERED
            over = tally.far_overruns or (covered and (tally.overruns or tally.tight))
            bad = tally.unbounded or not tally.calls or over
            failed += bool(bad)
            print(
                f"{skew:<5} {case.trace:24} {case.model:18} {tally.calls:6} {billed / 1e9:9.4f} "
                f"| {tally.near_nusd / billed:8.2f} {tally.far_nusd / billed:8.2f} "
                f"| {tally.overruns:8} {tally.tight:16} {tally.over_nusd / 1e9:10.6f} {tally.far_overruns:4} "
                f"{tally.bound_s / tally.calls * 1e6:5.1f} µs{'  wrong' if bad else ''}"
                + (f"  {tally.unbounded} unbounded" if tally.unbounded else ""),
                flush=True,
            )
    print(
        f"\nUp to a skew of {_COVERED} no attempt may be above a near bound, and never above a far one: "
        f"{failed} of {len(runs)} runs are wrong."
    )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
