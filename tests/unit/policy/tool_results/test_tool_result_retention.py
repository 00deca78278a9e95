import json

from bursar.policy.tool_results.codec import encode
from bursar.policy.tool_results.retention import Retention, Shown, value_retention

RESULT = json.dumps({"id": "R1Z", "name": 'Zoë "Z"', "prices": [{"amount": 12.5, "tax": 7}] * 3})


def test_what_is_sent_in_another_form_is_kept() -> None:
    arguments = json.dumps(
        {"id": "R1Z", "who": ['Zoë "Z"'], "amount": 12.5, "tax": 7, "new": "unseen", "s": "no"}
    )
    measured = value_retention([Shown(RESULT, encode(RESULT))], arguments)
    assert measured == Retention(("R1Z", 'Zoë "Z"', "12.5", "7"), ())


def test_what_is_left_out_is_lost() -> None:
    measured = value_retention(
        [Shown(RESULT, '{"id":"R1Z"}'), Shown("ok", "ok")], '{"id":"R1Z","amount":12.5}'
    )
    assert measured == Retention(("R1Z", "12.5"), ("12.5",))


def test_what_another_result_still_says_is_kept() -> None:
    measured = value_retention([Shown(RESULT, "…"), Shown("12.5 USD", "12.5 USD")], '{"amount":12.5}')
    assert measured == Retention(("12.5",), ())


def test_a_number_is_not_a_part_of_another() -> None:
    assert value_retention([Shown("112, 12.5, x12", "")], '{"amount":12}') == Retention((), ())


def test_arguments_that_are_no_json_take_nothing() -> None:
    assert value_retention([Shown("abc", "")], "{abc") == Retention((), ())
