import json

from bursar.policy.tool_results.codec import decode, encode
from bursar.policy.tool_results.limits import Limits, limit

HANDLE = "GET /v1/bursar/results/h1"


def by_thirds(text: str) -> int:
    return len(text) // 3


def test_a_result_within_its_limits_is_whole() -> None:
    text = json.dumps({"text": "x" * 2_000})
    assert limit(text, Limits(), by_thirds, HANDLE) == (encode(text), "")


def test_rows_beyond_the_tokens_are_left_out_and_counted() -> None:
    rows = [{"number": number, "name": f"customer {number}"} for number in range(500)]
    part = limit(json.dumps(rows), Limits(tokens_max=200), by_thirds, HANDLE)
    *kept, notice = json.loads(decode(part.text))
    assert kept == rows[: len(kept)]
    assert len(kept) > 10
    assert notice == f"… left out: {500 - len(kept)} rows; full result: {HANDLE}"
    assert part.text.endswith(f'\n+"{notice}"]')
    # One more row would not have fitted.
    one_more = limit(json.dumps(rows), Limits(10_000, rows_max=len(kept) + 1), by_thirds, HANDLE)
    assert by_thirds(part.text) <= 200 < by_thirds(one_more.text)


def test_rows_that_the_operator_allows_are_the_most_there_are() -> None:
    text = json.dumps(
        {"total": 3, "rows": [{"number": 100}, {"number": 200}, {"number": 300}], "x": "y" * 99}
    )
    part = limit(text, Limits(rows_max=1), by_thirds, "h")
    # The notice would be longer than what it stands for.
    assert part == (encode(text), "")
    longer = json.dumps({"total": 9, "rows": [{"number": number} for number in range(100)]})
    part = limit(longer, Limits(rows_max=2), by_thirds, "h")
    assert json.loads(decode(part.text)) == {
        "total": 9,
        "rows": [{"number": 0}, {"number": 1}, "… 98 more of 100"],
        "…": "… left out: 98 rows; full result: h",
    }


def test_long_fields_are_cut_before_rows_are() -> None:
    rows = [{"number": number, "text": str(number) * 900} for number in range(3)]
    part = limit(json.dumps(rows), Limits(tokens_max=800), by_thirds, HANDLE)
    first, _, third, notice = json.loads(decode(part.text))
    assert first == {"number": 0, "text": "0" * 500 + "… 400 more characters"}
    assert third["number"] == 2
    assert notice == f"… left out: 1,200 characters; full result: {HANDLE}"


def test_one_row_that_is_too_long_loses_more_of_its_fields() -> None:
    text = json.dumps({f"field {number}": "b" * 400 for number in range(300)})
    part = limit(text, Limits(tokens_max=100), by_thirds, HANDLE)
    value = json.loads(decode(part.text))
    assert value["field 0"].startswith("b" * 16 + "…")
    assert "members" in part.left_out
    assert by_thirds(part.text) <= 100


def test_a_name_in_use_is_not_overwritten_by_a_mark() -> None:
    text = json.dumps({"…": "own", "rows": [f"row {number}" for number in range(100)]})
    part = limit(text, Limits(rows_max=1), by_thirds, "h")
    assert json.loads(decode(part.text))["…"] == "own"


def test_nothing_but_a_notice_is_left_of_what_cannot_be_cut() -> None:
    part = limit(json.dumps({"n" * 9_000: 1}), Limits(tokens_max=50), by_thirds, HANDLE)
    assert json.loads(part.text) == f"… left out: everything; full result: {HANDLE}"


def test_text_keeps_its_head_and_its_tail() -> None:
    lines = [f"line {number}: nothing to see" for number in range(1_000)]
    part = limit("\n".join(lines), Limits(tokens_max=300), by_thirds, HANDLE)
    kept = part.text.split("\n")
    assert kept[0] == lines[0]
    assert kept[-1] == lines[-1]
    (mark,) = [place for place, line in enumerate(kept) if line.startswith("…")]
    assert kept[mark] == f"… left out: {part.left_out}; full result: {HANDLE}"
    assert kept[:mark] == lines[:mark]
    assert kept[mark + 1 :] == lines[len(lines) - len(kept) + mark + 1 :]
    assert mark > len(kept) - mark


def test_an_escape_is_not_torn() -> None:
    for shift in range(6):
        part = limit("x" * shift + "\\u00e9" * 2_000, Limits(tokens_max=100), by_thirds, HANDLE)
        head, _, tail = part.text.split("\n")
        assert head.lstrip("x").replace("\\u00e9", "") == ""
        assert tail.replace("\\u00e9", "") == ""


def test_a_limit_that_not_even_a_notice_keeps_gives_the_notice() -> None:
    part = limit("word " * 1_000, Limits(tokens_max=1), by_thirds, HANDLE)
    assert part.text == f"… left out: 4,999 characters; full result: {HANDLE}"


def test_a_sentence_before_json_stays() -> None:
    documents = "\n".join(json.dumps({"number": number, "name": f"n{number}"}) for number in range(400))
    part = limit("Found 400:\n" + documents, Limits(tokens_max=150), by_thirds, HANDLE)
    assert part.text.startswith('Found 400:\n{"number","name"}\n0,"n0"\n')
    assert part.text.endswith(f'\n+"… left out: {part.left_out}; full result: {HANDLE}"')


def test_what_is_nested_too_deeply_to_look_into_is_cut_as_text() -> None:
    part = limit('{"name":' * 900 + "1" + "}" * 900, Limits(tokens_max=100), by_thirds, HANDLE)
    assert part.text.startswith('{"name":{"name":')
    assert by_thirds(part.text) <= 100


def test_what_cannot_be_sent_as_utf_8_is_left_alone() -> None:
    text = "\ud800" * 9_000
    assert limit(text, Limits(), by_thirds, HANDLE) == (text, "")
