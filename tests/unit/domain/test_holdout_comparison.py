"""Conversations that were held out, compared with the others: the sums shown."""

from fractions import Fraction
from typing import Any

import pytest
from msgspec.structs import replace

from bursar.domain.holdout import Comparison, Group, compare, decimal_text
from bursar.domain.ledger import Entry, Status
from ledger_entries import T0_S, entry, unpriced

DAY_S = 86_400


def call(name: str, mode: str, **changes: Any) -> Entry:
    """Return a call of a conversation, of 450,000 nusd."""
    who = replace(entry().attribution, conversation=name)
    return entry(**{"attribution": who, "mode": mode, **changes})


def both(*calls: Entry) -> Comparison:
    found = compare(calls)
    assert found is not None
    return found


def test_each_group_has_its_conversations_calls_and_costs() -> None:
    found = both(
        call("a", "holdout"),
        call("a", "holdout", cost_nusd=650_000),
        call("b", "holdout", status=Status.ERROR, cost_nusd=0),
        call("c", "optimise", cost_nusd=110_000),
        call("c", "optimise", status=Status.ABORTED, cost_nusd=110_000),
        call("d", "observe"),
        call("e", "passthrough"),
    )
    assert found.held_out == Group(2, 3, 0, 1, 1_100_000)
    assert found.optimised == Group(1, 2, 0, 0, 220_000)
    assert found.held_out.measures() == {
        "calls_per_conversation": Fraction(3, 2),
        "cost_per_conversation": 550_000,
        "cost_per_call": Fraction(1_100_000, 3),
        "failed_share": Fraction(1, 3),
    }
    # 2 calls instead of 1.5; 220,000 nusd instead of 550,000; 110,000 instead of 366,667; none failed.
    assert found.differences() == {
        "calls_per_conversation": Fraction(1, 3),
        "cost_per_conversation": Fraction(-3, 5),
        "cost_per_call": Fraction(-7, 10),
        "failed_share": -1,
    }


@pytest.mark.parametrize(
    ("status", "failed_calls"),
    [(Status.OK, 0), (Status.ABORTED, 0), (Status.ERROR, 1), (Status.CUT, 1), (Status.REFUSED, 1)],
)
def test_a_call_without_a_whole_answer_failed_unless_its_client_left(
    status: Status, failed_calls: int
) -> None:
    assert both(call("a", "holdout", status=status)).held_out.failed_calls == failed_calls


def test_equal_names_of_two_tenants_are_two_conversations() -> None:
    other = replace(entry().attribution, tenant="other", conversation="a")
    found = both(call("a", "holdout"), call("a", "holdout", attribution=other))
    assert found.held_out.conversations == 2


def test_days_on_which_nothing_was_held_out_do_not_count() -> None:
    found = both(
        call("before", "optimise", at_s=T0_S - DAY_S),
        call("a", "holdout"),
        call("b", "optimise", at_s=T0_S + 60),
        call("after", "optimise", at_s=T0_S + DAY_S),
    )
    assert found.optimised.conversations == 1


def test_an_unknown_cost_is_counted_and_in_no_amount() -> None:
    lost = replace(unpriced("x"), mode="holdout", attribution=replace(entry().attribution, conversation="a"))
    found = both(lost, call("a", "holdout"), call("b", "holdout"))
    assert found.held_out.unknown_calls == 1
    assert found.held_out.cost_per_call_nusd == 450_000
    assert found.held_out.cost_per_conversation_nusd == 450_000
    alone = both(lost).held_out
    assert (alone.cost_per_call_nusd, alone.cost_per_conversation_nusd) == (None, None)
    assert alone.as_json()["cost_usd"] is None


def test_where_nothing_was_held_out_there_is_nothing_to_compare() -> None:
    assert compare([call("a", "optimise"), call("b", "observe")]) is None


def test_a_group_of_none_has_no_measures_and_no_differences() -> None:
    found = both(call("a", "holdout"))
    assert set(found.optimised.measures().values()) == {None}
    assert set(found.differences().values()) == {None}


@pytest.mark.parametrize(
    ("optimised", "held_out", "enough"), [(30, 30, True), (29, 400, False), (400, 29, False)]
)
def test_both_groups_must_be_large_enough(optimised: int, held_out: int, enough: bool) -> None:
    assert Comparison(Group(optimised), Group(held_out)).is_large_enough is enough


def test_as_json_has_amounts_with_nine_places_and_ratios_as_text() -> None:
    found = Comparison(Group(3, 4, 0, 1, 1_000_000_000), Group(2, 4, 0, 0, 2_000_000_001))
    assert found.as_json() == {
        "optimised": {
            "conversations": 3,
            "calls": 4,
            "unknown_calls": 0,
            "failed_calls": 1,
            "cost_usd": "1.000000000",
            "calls_per_conversation": "1.333",
            "cost_per_conversation_usd": "0.333333333",
            "cost_per_call_usd": "0.250000000",
            "failed_share": "0.250000",
        },
        "held_out": {
            "conversations": 2,
            "calls": 4,
            "unknown_calls": 0,
            "failed_calls": 0,
            "cost_usd": "2.000000001",
            "calls_per_conversation": "2.000",
            "cost_per_conversation_usd": "1.000000000",
            "cost_per_call_usd": "0.500000000",
            "failed_share": "0.000000",
        },
        "difference": {
            "calls_per_conversation": "-0.333333",
            "cost_per_conversation": "-0.666667",
            "cost_per_call": "-0.500000",
            "failed_share": None,
        },
        "large_enough": False,
    }


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (Fraction(1, 3), 3, "0.333"),
        (Fraction(-1, 8), 2, "-0.12"),
        (Fraction(3, 8), 2, "0.38"),
        (Fraction(-1, 10_000), 3, "0.000"),
        (Fraction(10**30), 1, f"{10**30}.0"),
        (None, 3, None),
    ],
)
def test_ratios_are_written_rounded_half_even(value: Fraction | None, places: int, text: str | None) -> None:
    assert decimal_text(value, places) == text
