from decimal import Decimal

import orjson

from batch_cases import assignment, label, said, tickets
from bursar.domain.prices import Price, Terms, cost, total_nusd
from bursar.domain.usage import TokenClass, Usage
from bursar.policy.batch.answers import FaultKind
from bursar.policy.batch.judging import Charged, Judge
from bursar.policy.batch.tally import Tally
from bursar.policy.batch.work import PackedCall
from bursar.policy.batch.worth import Lengths, alone_nusd

USD = 1_000_000_000
PRICE = Price(
    "m",
    None,
    {TokenClass.INPUT: 3 * USD, TokenClass.OUTPUT: 15 * USD},
    tier_per_mille={"standard": 1000, "batch": 500},
)
CALL = PackedCall(1, (0, 1), 1_000)


def body(text: str, stop_reason: str = "end_turn") -> bytes:
    return orjson.dumps(
        {
            "type": "message",
            "model": "claude-haiku-4-5",
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop_reason,
            "usage": {"input_tokens": 1_000, "output_tokens": 100},
        }
    )


def test_one_by_one_each_item_pays_for_the_instruction_and_its_own_answer() -> None:
    # Of 1,000 prompt tokens 800 are instruction, and of 100 output tokens each of two answers is 40.
    lengths = Lengths(instruction=800, items=[100, 100], answers=[40, 40], text=100)
    nusd = alone_nusd(Usage(input=1_000, output=100), PRICE, lengths)
    # 2 x (900 x 3 + 40 x 15) USD per million
    assert nusd == 2 * (900 * 3_000 + 40 * 15_000)


def test_an_item_without_a_good_answer_would_have_been_paid_for_nothing() -> None:
    lengths = Lengths(instruction=800, items=[100, 100], answers=[40, 0], text=100)
    assert alone_nusd(Usage(input=1_000, output=100), PRICE, lengths) == 900 * 3_000 + 40 * 15_000


def test_a_price_that_says_nothing_makes_the_saving_unknown() -> None:
    priceless = Price("m", None, {TokenClass.INPUT: USD})
    lengths = Lengths(instruction=1, items=[1], answers=[1], text=1)
    assert alone_nusd(Usage(input=3, output=1), priceless, lengths) is None


def test_a_call_is_priced_by_its_usage_under_its_tier() -> None:
    judge = Judge(assignment(), tickets(2), PRICE)
    text = said((1, label(0)), (2, label(1)))
    standard = judge.read(CALL, body(text), Charged())
    batch = judge.read(CALL, body(text), Charged(tier="batch"))
    assert standard.cost_nusd == 1_000 * 3_000 + 100 * 15_000
    assert batch.cost_nusd == Decimal(standard.cost_nusd) / 2
    assert standard.answers == {0: label(0), 1: label(1)}


def test_what_the_gateway_says_counts_unless_it_is_a_call_that_was_paid_for_before() -> None:
    judge = Judge(assignment(), tickets(2), PRICE)
    answer = body(said((1, label(0)), (2, label(1))))
    assert judge.read(CALL, answer, Charged(cost_nusd=0, from_cache=True)).cost_nusd == 0
    again = judge.read(CALL, answer, Charged(cost_nusd=0, from_cache=True, is_again=True))
    assert again.cost_nusd == 1_000 * 3_000 + 100 * 15_000


def test_without_a_price_or_usage_a_cost_is_unknown_and_never_zero() -> None:
    unpriced = Judge(assignment(), tickets(2), None).read(CALL, body("{}"), Charged())
    assert (unpriced.cost_nusd, unpriced.alone_nusd) == (None, None)
    tally = Tally()
    tally.add(None, None, extras=0)
    assert (tally.unknown_costs, tally.saved_nusd) == (1, None)


def test_a_refusal_and_a_cut_are_told_apart_from_bad_answers() -> None:
    judge = Judge(assignment(), tickets(2), PRICE)
    refused = judge.read(CALL, body("", "refusal"), Charged())
    assert {kind for kind, _ in refused.faults.values()} == {FaultKind.REFUSED}
    cut = judge.read(CALL, body(said((1, label(0)))[:-1], "max_tokens"), Charged())
    assert (list(cut.answers), cut.faults[1][0], cut.is_cut) == ([0], FaultKind.CUT, True)
    garbage = judge.read(CALL, b"<html>", Charged())
    assert garbage.faults[0][0] is FaultKind.UNREADABLE
    assert garbage.cost_nusd is None


def test_a_cost_is_the_one_that_the_price_function_bills() -> None:
    usage = Usage(input=1_000, output=100)
    read = Judge(assignment(), tickets(2), PRICE).read(CALL, body("{}"), Charged())
    assert read.cost_nusd == total_nusd(cost(usage, PRICE, Terms()))
