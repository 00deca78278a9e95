from bursar.policy.tool_results.references import Earlier, refer

EARLIER = {b"d": Earlier("get_user", 3)}


def test_a_result_seen_before_becomes_a_line() -> None:
    assert refer("x" * 500, b"d", EARLIER) == "[the same as tool result 3 of this conversation, of get_user]"


def test_a_result_not_seen_before_has_no_reference() -> None:
    assert refer("x" * 500, b"e", EARLIER) is None


def test_a_result_about_as_short_as_a_reference_stays() -> None:
    assert refer("x" * 90, b"d", EARLIER) is None


def test_a_reference_is_one_line_whatever_the_tool_is_called() -> None:
    reference = refer("x" * 500, b"d", {b"d": Earlier("a\n b", 1)})
    assert reference == "[the same as tool result 1 of this conversation, of a b]"
