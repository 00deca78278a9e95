import pytest
from msgspec.structs import replace

from bursar.domain.ledger import Component, ComponentShare, CostBasis, Technique
from bursar.domain.report import Report, ReportKey, Row, Tally, report_of, share_savings
from ledger_entries import entry, unpriced

ACME = entry().attribution


def tally(*entries) -> Tally:
    total = Tally()
    for one in entries:
        total.add(one)
    return total


def keys(report: Report) -> list[tuple[str, ...]]:
    return [row.keys for row in report.rows]


def test_known_amounts_add_up() -> None:
    total = tally(entry("a"), entry("b", cost_nusd=50_000, shares={Technique.PREFIX_CACHE: 550_000}))
    assert (total.calls, total.cost_nusd, total.baseline_nusd, total.saved_nusd) == (
        2,
        500_000,
        1_200_000,
        700_000,
    )
    assert total.techniques[Technique.PREFIX_CACHE] == 150_000 + 550_000
    assert total.tokens["input"] == 200
    assert total.component_tokens[Component.SYSTEM] == 160
    assert total.component_nusd[Component.SYSTEM] == 480_000


def test_an_unknown_cost_is_counted_and_in_no_amount() -> None:
    total = tally(entry("a"), unpriced("b", baseline_nusd=900_000))
    assert (total.calls, total.unknown_calls, total.uncompared_calls) == (2, 1, 1)
    assert (total.cost_nusd, total.baseline_nusd, total.saved_nusd) == (450_000, 600_000, 150_000)


def test_a_call_without_baseline_costs_but_is_not_compared() -> None:
    total = tally(entry("a"), entry("b", baseline_nusd=None, shares={}))
    assert (total.unknown_calls, total.uncompared_calls) == (0, 1)
    assert (total.cost_nusd, total.baseline_nusd, total.saved_nusd) == (900_000, 600_000, 150_000)


def test_sums_of_nothing_but_unknown_costs_are_unknown() -> None:
    total = tally(unpriced("a"))
    assert (total.known_cost_nusd, total.known_baseline_nusd, total.known_saved_nusd) == (None, None, None)
    assert Tally().known_cost_nusd == 0


def test_estimated_costs_are_shown_between_what_was_seen_and_the_most_they_can_be() -> None:
    total = tally(entry("a"), entry("b", basis=CostBasis.ESTIMATED, cost_max_nusd=700_000))
    assert (total.estimated_nusd, total.estimated_max_nusd) == (450_000, 700_000)


def test_a_technique_may_have_cost_more_than_it_saved() -> None:
    loss = entry("a", baseline_nusd=400_000, shares={Technique.PREFIX_CACHE: -50_000})
    assert report_of([loss], []).as_json()["total"]["techniques"] == {"prefix_cache": "-0.000050000"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ReportKey.TENANT, "acme"),
        (ReportKey.AGENT, "support"),
        (ReportKey.MODEL, "claude-sonnet-4-6"),
        (ReportKey.CONVERSATION, "c1"),
        (ReportKey.USER, "u1"),
        (ReportKey.TASK, "triage"),
    ],
)
def test_calls_are_grouped_by_each_key(key: ReportKey, expected: str) -> None:
    one = entry(attribution=replace(ACME, user="u1", task="triage"))
    assert keys(report_of([one], [key])) == [(expected,)]


def test_rows_come_dearest_first_and_unknown_last() -> None:
    def of(conversation: str, cost_nusd: int):
        return entry(conversation, cost_nusd=cost_nusd, attribution=replace(ACME, conversation=conversation))

    lost = unpriced("x", attribution=replace(ACME, conversation="lost"))
    found = report_of([of("b", 5), lost, of("dear", 9), of("a", 5)], [ReportKey.CONVERSATION])
    assert keys(found) == [("dear",), ("a",), ("b",), ("lost",)]
    assert found.rows[-1].cost_nusd is None


def test_keys_combine_in_the_order_asked_for() -> None:
    found = report_of([entry()], [ReportKey.AGENT, ReportKey.TENANT])
    assert found.as_json()["rows"][0] | {"agent": "support", "tenant": "acme"} == found.as_json()["rows"][0]
    assert keys(found) == [("support", "acme")]


def test_a_call_counts_under_each_of_its_tags_and_once_in_the_total() -> None:
    tagged = entry("a", attribution=replace(ACME, tags=(("env", "prod"), ("team", "x"))))
    found = report_of([tagged, entry("b")], [ReportKey.TAG])
    assert sorted((row.keys[0], row.calls) for row in found.rows) == [("", 1), ("env=prod", 1), ("team=x", 1)]
    assert found.total.cost_nusd == 900_000


def test_by_component_tokens_and_cost_are_split_exactly_and_savings_by_the_prompts_tokens() -> None:
    found = report_of([entry("a"), entry("b")], [ReportKey.COMPONENT])
    assert [(row.keys[0], row.cost_nusd, dict(row.tokens)) for row in found.rows] == [
        ("system", 480_000, {"input": 160}),
        ("output", 300_000, {"output": 20}),
        ("user", 120_000, {"input": 40}),
    ]
    assert sum(row.cost_nusd or 0 for row in found.rows) == found.total.cost_nusd
    saved = {row.keys[0]: row.saved_nusd for row in found.rows}
    assert sum(part or 0 for part in saved.values()) == found.total.saved_nusd
    assert saved["output"] == 0
    assert saved["system"] == 4 * (saved["user"] or 0) > 0
    assert sum(row.baseline_nusd or 0 for row in found.rows) == found.total.baseline_nusd


def test_what_cannot_be_shared_evenly_goes_to_the_same_components_in_whatever_order_they_are_found() -> None:
    def row(component: str) -> Row:
        return Row((component,), 1, 0, 10, None, None, {})

    rows = [row("user"), row("system")]
    by, saved_nusd = [ReportKey.COMPONENT], {(): 7}
    assert share_savings(rows, by, saved_nusd) == share_savings(rows[::-1], by, saved_nusd)


def test_by_component_a_call_without_components_counts_whole() -> None:
    found = report_of([entry(components={})], [ReportKey.COMPONENT])
    assert keys(found) == [("",)]
    assert found.rows[0].cost_nusd == 450_000


def test_by_component_an_unknown_cost_still_shows_its_tokens() -> None:
    lost = unpriced("a")
    lost = replace(lost, components={Component.USER: ComponentShare({"input": 7}, None)})
    row = report_of([lost], [ReportKey.COMPONENT]).rows[0]
    assert (row.cost_nusd, row.unknown_calls, row.tokens) == (None, 1, {"input": 7})


def test_a_limit_leaves_rows_out_and_says_how_many() -> None:
    calls = [entry(f"op-{i}", attribution=replace(ACME, conversation=f"c{i}")) for i in range(5)]
    found = report_of(calls, [ReportKey.CONVERSATION], limit=2)
    assert (len(found.rows), found.rows_left, found.total.calls) == (2, 3, 5)


def test_as_json_is_what_every_interface_shows() -> None:
    watched = entry("b", cost_nusd=600_000, shares={}, would_save={Technique.PREFIX_CACHE: 150_000})
    assert report_of([entry("a"), watched], [ReportKey.TENANT]).as_json() == {
        "total": {
            "calls": 2,
            "unknown_calls": 0,
            "uncompared_calls": 0,
            "cost_usd": "0.001050000",
            "baseline_usd": "0.001200000",
            "saved_usd": "0.000150000",
            "estimated_usd": "0.000000000",
            "estimated_max_usd": "0.000000000",
            "techniques": {"prefix_cache": "0.000150000"},
            "would_save": {"prefix_cache": "0.000150000"},
            "tokens": {"input": 200, "output": 20},
        },
        "rows": [
            {
                "tenant": "acme",
                "calls": 2,
                "unknown_calls": 0,
                "cost_usd": "0.001050000",
                "baseline_usd": "0.001200000",
                "saved_usd": "0.000150000",
                "tokens": {"input": 200, "output": 20},
            }
        ],
    }


def test_as_json_has_no_amount_where_nothing_is_known() -> None:
    total = report_of([unpriced("a")], []).as_json()["total"]
    assert (total["cost_usd"], total["baseline_usd"], total["saved_usd"]) == (None, None, None)
