"""Ledger entries to test with: one that is easy to do sums on, and arbitrary ones."""

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from bursar.domain.attribution import Attribution
from bursar.domain.ledger import Attempt, Component, ComponentShare, CostBasis, Entry, Status, Technique
from bursar.domain.prices import CostLine, Terms
from bursar.domain.usage import ServerTool, TokenClass, Usage

T0_S = 1_764_000_000.0  # 2025-11-24 16:00 UTC, a whole hour.
HOUR_S = 3_600.0


def entry(operation_id: str = "op-1", **changes: Any) -> Entry:
    """Return a call of 100 input and 10 output tokens that cost 450,000 nusd instead of 600,000."""
    usage = Usage(input=100, output=10)
    lines = (CostLine("input", 100, 300_000), CostLine("output", 10, 150_000))
    attempt = Attempt(
        attempt_id=f"{operation_id}/1",
        model="claude-sonnet-4-6",
        upstream="anthropic",
        started_at_s=T0_S + 0.002,
        latency_ms=900,
        http_status=200,
        status=Status.OK,
        usage=usage,
        terms=Terms(),
        lines=lines,
        basis=CostBasis.MEASURED,
    )
    made = Entry(
        operation_id=operation_id,
        at_s=T0_S,
        attribution=Attribution(tenant="acme", agent="support", conversation="c1"),
        dialect="anthropic.messages",
        model="claude-sonnet-4-6",
        mode="optimise",
        stream=False,
        status=Status.OK,
        http_status=200,
        latency_ms=905,
        overhead_us=400,
        thread="t1",
        turn=0,
        attempts=(attempt,),
        usage=usage,
        components={
            Component.SYSTEM: ComponentShare({"input": 80}, 240_000),
            Component.USER: ComponentShare({"input": 20}, 60_000),
            Component.OUTPUT: ComponentShare({"output": 10}, 150_000),
        },
        cost_nusd=450_000,
        cost_max_nusd=450_000,
        baseline_nusd=600_000,
        shares={Technique.PREFIX_CACHE: 150_000},
        basis=CostBasis.MEASURED,
    )
    return replace(made, **changes)


def unpriced(operation_id: str, **changes: Any) -> Entry:
    """Return a call whose cost nobody knows."""
    nothing: dict[str, Any] = {"cost_nusd": None, "cost_max_nusd": None, "baseline_nusd": None}
    return entry(
        operation_id, usage=None, components={}, shares={}, basis=CostBasis.UNKNOWN, **{**nothing, **changes}
    )


_quantities = st.integers(0, 10**12)
_nusd = st.integers(-(10**12), 10**12)
_names = st.sampled_from(["", "a", "b", "ü=1", "\x00"]) | st.text(max_size=6)
# Tags come from a header, which holds no NUL.
_tags = st.dictionaries(
    st.sampled_from(["env", "team"]), _names.filter(lambda name: "\x00" not in name), max_size=2
).map(lambda tags: tuple(sorted(tags.items())))
_counts = st.integers(0, 10**9)
_shares_of_components = st.builds(
    ComponentShare,
    tokens=st.dictionaries(st.sampled_from([c.value for c in TokenClass]), _quantities, max_size=3),
    cost_nusd=st.none() | _nusd,
)
_usages = st.builds(
    Usage,
    **{kind.value: st.just(0) | _quantities for kind in (*TokenClass, *ServerTool)},
    other=st.just(()) | st.tuples(_names),
)
_attempts = st.builds(
    Attempt,
    attempt_id=_names,
    model=_names,
    upstream=_names,
    started_at_s=st.floats(0, 4e9),
    latency_ms=_counts,
    http_status=st.none() | st.integers(100, 599),
    status=st.sampled_from(Status),
    usage=st.none() | _usages,
    terms=st.builds(Terms, tier=_names, geo=_names),
    lines=st.lists(st.builds(CostLine, item=_names, quantity=_quantities, cost_nusd=_nusd), max_size=2).map(
        tuple
    ),
    basis=st.sampled_from(CostBasis),
)


def arbitrary_entries(operation_ids: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Entry]:
    """Return entries of any content, within three hours, with few values per key so that groups meet."""
    return st.builds(
        Entry,
        operation_id=st.uuids().map(str) if operation_ids is None else operation_ids,
        at_s=st.integers(0, 3 * 3_600_000_000 - 1).map(lambda us: (int(T0_S) * 1_000_000 + us) / 1_000_000),
        attribution=st.builds(
            Attribution,
            tenant=_names,
            agent=_names,
            task=_names,
            conversation=_names,
            user=_names,
            tags=_tags,
            key=_names,
        ),
        dialect=_names,
        model=_names,
        mode=st.sampled_from(["optimise", "holdout"]) | _names,
        stream=st.booleans(),
        status=st.sampled_from(Status),
        http_status=st.integers(100, 599),
        latency_ms=_counts,
        overhead_us=_counts,
        thread=_names,
        turn=_counts,
        attempts=st.lists(_attempts, max_size=2).map(tuple),
        usage=st.none() | _usages,
        components=st.dictionaries(st.sampled_from(Component), _shares_of_components, max_size=3),
        cost_nusd=st.none() | _nusd,
        cost_max_nusd=st.none() | _nusd,
        baseline_nusd=st.none() | _nusd,
        shares=st.dictionaries(st.sampled_from(Technique), _nusd, max_size=2),
        basis=st.sampled_from(CostBasis),
        faults=st.just(()) | st.tuples(_names),
        would_save=st.dictionaries(st.sampled_from(Technique), _nusd, max_size=2),
        decisions=st.just(()) | st.tuples(_names),
    )
