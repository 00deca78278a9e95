from typing import Any

import orjson
import pytest
from small_world import ANTHROPIC_HEADERS, NOW_S, OPENAI_HEADERS, PRICES, claude, gpt, make_double
from small_world import _price as priced

from bursar.domain.jobs import JobLimits
from bursar.domain.price_book import PriceBook
from bursar.double.batches.desk import BatchDesk
from bursar.double.batches.forms import read_form
from bursar.double.batches.jobs import JobOptions
from bursar.double.batches.pages import Page, Visit
from bursar.double.provider import ProviderDouble

BATCHES = "/v1/messages/batches"
DAY_S = 86_400.0


def desk(**options: Any) -> tuple[BatchDesk, ProviderDouble]:
    double = make_double()
    tiers = {"standard": 1000, "batch": 500}
    double._has = type(double._has)(
        PriceBook([priced("claude-test", tier_per_mille=tiers), priced("gpt-test", tier_per_mille=tiers)]),
        double._has.rules,
        double._has.ratios,
        double._has.models,
        double._has.tokenizer,
    )
    limits = JobLimits(requests_max=5, bytes_max=20_000, window_s=DAY_S)
    jobs = JobOptions(**{"duration_s": 10.0, **options})
    return BatchDesk(double, jobs, {"anthropic.messages": limits, "openai.chat": limits}), double


def ask(
    at: BatchDesk,
    method: str,
    path: str,
    body: bytes | object = b"",
    *,
    now_s: float = NOW_S,
    headers: dict[str, str] | None = None,
    **query: str,
) -> tuple[int, Any]:
    page = raw(at, method, path, body, now_s=now_s, headers=headers, **query)
    return page.status, orjson.loads(page.body)


def raw(
    at: BatchDesk,
    method: str,
    path: str,
    body: bytes | object = b"",
    *,
    now_s: float = NOW_S,
    headers: dict[str, str] | None = None,
    **query: str,
) -> Page:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    page = at.answer(Visit(method, path, query, headers or ANTHROPIC_HEADERS, data, now_s))
    assert page is not None
    return page


def requests(count: int, **fields: Any) -> dict[str, Any]:
    return {"requests": [{"custom_id": f"r{n}", "params": claude(**fields)} for n in range(count)]}


def lines(page: Page) -> list[Any]:
    return [orjson.loads(line) for line in page.body.splitlines()]


def test_a_message_batch_is_answered_over_its_time_and_billed_at_half_the_price() -> None:
    at, double = desk()
    _, made = ask(at, "POST", BATCHES, requests(4))
    assert (made["processing_status"], made["request_counts"]["processing"]) == ("in_progress", 4)
    path = f"{BATCHES}/{made['id']}"
    at.advance(NOW_S + 5.0)
    assert double.bill.summary()["calls"] == 2
    assert ask(at, "GET", f"{path}/results", now_s=NOW_S + 5.0)[0] == 400
    _, ended = ask(at, "GET", path, now_s=NOW_S + 10.0)
    assert ended["processing_status"] == "ended"
    assert ended["request_counts"] == {
        "processing": 0,
        "succeeded": 4,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }
    results = lines(raw(at, "GET", f"{path}/results", now_s=NOW_S + 10.0))
    assert [row["custom_id"] for row in results] == ["r0", "r1", "r2", "r3"]
    usage = results[0]["result"]["message"]["usage"]
    assert usage["service_tier"] == "batch"
    # Each: one word at 3 USD a million and the output at 15, both at half.
    whole = sum(
        row["result"]["message"]["usage"]["input_tokens"] * 3_000
        + row["result"]["message"]["usage"]["output_tokens"] * 15_000
        for row in results
    )
    assert double.bill.cost_nusd * 2 == whole


def test_a_request_that_the_provider_would_not_take_errs_alone_and_costs_nothing() -> None:
    at, double = desk(duration_s=0)
    body = requests(2)
    body["requests"][0]["params"]["max_tokens"] = -1
    _, made = ask(at, "POST", BATCHES, body)
    results = lines(raw(at, "GET", f"{BATCHES}/{made['id']}/results"))
    assert [row["result"]["type"] for row in results] == ["errored", "succeeded"]
    assert results[0]["result"]["error"]["error"]["type"] == "invalid_request_error"
    assert double.bill.summary()["calls"] == 1


def test_a_cancelled_batch_keeps_what_was_answered_and_bills_no_more() -> None:
    at, double = desk()
    _, made = ask(at, "POST", BATCHES, requests(4))
    path = f"{BATCHES}/{made['id']}"
    _, cancelled = ask(at, "POST", f"{path}/cancel", now_s=NOW_S + 5.0)
    assert cancelled["processing_status"] == "canceling"
    _, ended = ask(at, "GET", path, now_s=NOW_S + 6.0)
    assert (ended["request_counts"]["succeeded"], ended["request_counts"]["canceled"]) == (2, 2)
    at.advance(NOW_S + DAY_S)
    assert double.bill.summary()["calls"] == 2
    assert ask(at, "POST", f"{path}/cancel", now_s=NOW_S + 7.0)[0] == 400


def test_what_is_late_expires_with_the_window_and_costs_nothing() -> None:
    at, double = desk(late_rate=1.0)
    _, made = ask(at, "POST", BATCHES, requests(2))
    path = f"{BATCHES}/{made['id']}"
    assert ask(at, "GET", path, now_s=NOW_S + DAY_S - 1)[1]["processing_status"] == "in_progress"
    assert ask(at, "GET", path, now_s=NOW_S + DAY_S)[1]["request_counts"]["expired"] == 2
    assert double.bill.summary()["calls"] == 0


def test_nobody_sees_anothers_jobs() -> None:
    at, _ = desk()
    _, made = ask(at, "POST", BATCHES, requests(1))
    other = ANTHROPIC_HEADERS | {"x-api-key": "other"}
    assert ask(at, "GET", f"{BATCHES}/{made['id']}", headers=other)[0] == 404
    assert ask(at, "GET", BATCHES, headers=other)[1]["data"] == []
    assert ask(at, "GET", BATCHES, headers={"anthropic-version": "1"})[0] == 401


def test_batches_are_listed_the_latest_first_and_page_by_page() -> None:
    at, _ = desk()
    names = [ask(at, "POST", BATCHES, requests(1))[1]["id"] for _ in range(3)]
    _, first = ask(at, "GET", BATCHES, limit="2")
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (names[:0:-1], True)
    _, rest = ask(at, "GET", BATCHES, after_id=first["last_id"])
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (names[:1], False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        ({"requests": []}, "at least 1 item"),
        ([], "at least 1 item"),
        (requests(6), "at most 5 items"),
        ({"requests": [{"custom_id": "a b", "params": {}}]}, "requests.0.custom_id"),
        ({"requests": [{"custom_id": "a"}]}, "requests.0.params"),
        ({"requests": [3]}, "requests.0"),
        ({"requests": [{"custom_id": "a", "params": {}}] * 2}, "Duplicate custom_id 'a'"),
        (requests(1, stream=True), "not supported in batches"),
    ],
)
def test_a_batch_that_the_provider_would_not_take_is_refused(body: object, message: str) -> None:
    status, said = ask(desk()[0], "POST", BATCHES, body)
    assert status == 400
    assert message in said["error"]["message"]


def test_a_batch_beyond_the_limit_of_bytes_is_refused() -> None:
    big = requests(1, messages=[{"role": "user", "content": "x" * 30_000}])
    assert ask(desk()[0], "POST", BATCHES, big)[0] == 413


def form(content: bytes, purpose: bytes = b"batch") -> tuple[bytes, dict[str, str]]:
    part = b'--XX\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    body = part % (b"purpose", b"", purpose) + part % (b"file", b'; filename="in.jsonl"', content) + b"--XX--"
    return body, OPENAI_HEADERS | {"content-type": "multipart/form-data; boundary=XX"}


def upload(at: BatchDesk, rows: list[object] | bytes, headers: dict[str, str] | None = None) -> str:
    content = rows if isinstance(rows, bytes) else b"\n".join(orjson.dumps(row) for row in rows)
    body, own = form(content)
    status, file = ask(at, "POST", "/v1/files", body, headers=own | (headers or {}))
    assert (status, file["bytes"], file["purpose"]) == (200, len(content), "batch")
    return file["id"]


def row(number: int) -> dict[str, object]:
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": gpt()}


def order(file: str, **more: object) -> dict[str, object]:
    return {
        "input_file_id": file,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        **more,
    }


def test_an_openai_batch_ends_with_a_file_of_answers_and_one_of_errors() -> None:
    at, double = desk()
    bad: dict[str, Any] = row(1)
    bad["body"] = gpt(messages=[])
    file = upload(at, [row(0), bad])
    _, made = ask(at, "POST", "/v1/batches", order(file, metadata={"k": "v"}), headers=OPENAI_HEADERS)
    assert (made["status"], made["metadata"], made["output_file_id"]) == ("in_progress", {"k": "v"}, None)
    path = f"/v1/batches/{made['id']}"
    _, ended = ask(at, "GET", path, now_s=NOW_S + 10.0, headers=OPENAI_HEADERS)
    assert (ended["status"], ended["request_counts"]) == (
        "completed",
        {"total": 2, "completed": 1, "failed": 1},
    )
    good, bad_rows = (
        lines(raw(at, "GET", f"/v1/files/{ended[name]}/content", headers=OPENAI_HEADERS))
        for name in ("output_file_id", "error_file_id")
    )
    assert [(r["custom_id"], r["response"]["status_code"]) for r in good] == [("r0", 200)]
    assert [(r["custom_id"], r["response"]["status_code"]) for r in bad_rows] == [("r1", 400)]
    used = good[0]["response"]["body"]["usage"]
    assert double.bill.cost_nusd * 2 == used["prompt_tokens"] * 3_000 + used["completion_tokens"] * 15_000


def test_an_openai_batch_expires_and_is_cancelled() -> None:
    at, _ = desk(late_rate=1.0)
    file = upload(at, [row(0)])
    names = [ask(at, "POST", "/v1/batches", order(file), headers=OPENAI_HEADERS)[1]["id"] for _ in range(2)]
    ask(at, "POST", f"/v1/batches/{names[1]}/cancel", now_s=NOW_S + 1, headers=OPENAI_HEADERS)
    codes: list[tuple[str, str]] = []
    for name in names:
        _, ended = ask(at, "GET", f"/v1/batches/{name}", now_s=NOW_S + DAY_S, headers=OPENAI_HEADERS)
        content = raw(at, "GET", f"/v1/files/{ended['error_file_id']}/content", headers=OPENAI_HEADERS)
        codes.append((ended["status"], lines(content)[0]["error"]["code"]))
    assert codes == [("expired", "batch_expired"), ("cancelled", "batch_cancelled")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"", "invalid_file"),
        (orjson.dumps({"custom_id": "a"}), "missing_required_parameter"),
        (orjson.dumps({**row(0), "url": "/v1/embeddings"}), "invalid_url"),
        (orjson.dumps(row(0)) + b"\n" + orjson.dumps(row(0)), "duplicate_custom_id"),
    ],
)
def test_a_batch_of_a_file_with_errors_fails_as_a_whole(content: bytes, code: str) -> None:
    at, double = desk(duration_s=0)
    _, made = ask(at, "POST", "/v1/batches", order(upload(at, content)), headers=OPENAI_HEADERS)
    assert (made["status"], made["errors"]["data"][0]["code"]) == ("failed", code)
    assert double.bill.summary()["calls"] == 0


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"endpoint": "/v1/embeddings"}, 400),
        ({"completion_window": "1h"}, 400),
        ({"input_file_id": "file-none"}, 404),
    ],
)
def test_an_order_that_openai_would_not_take_is_refused(more: dict[str, object], status: int) -> None:
    at, _ = desk()
    found, _ = ask(at, "POST", "/v1/batches", {**order(upload(at, [row(0)])), **more}, headers=OPENAI_HEADERS)
    assert found == status


def test_an_upload_without_its_fields_is_refused_and_a_files_owner_alone_sees_it() -> None:
    at, _ = desk()
    assert ask(at, "POST", "/v1/files", b"x", headers=OPENAI_HEADERS)[0] == 400
    file = upload(at, [row(0)])
    assert ask(at, "GET", f"/v1/files/{file}", headers=OPENAI_HEADERS)[1]["filename"] == "in.jsonl"
    assert ask(at, "GET", f"/v1/files/{file}", headers={"authorization": "Bearer other"})[0] == 404


def test_a_form_keeps_its_bytes_and_garbage_is_an_empty_form() -> None:
    content = b"\r\n\x00\xff--X\n\n"
    body, headers = form(content)
    assert read_form(headers["content-type"], body)["file"].content == content
    assert read_form("application/json", body) == {}
    assert read_form("multipart/form-data", body) == {}


def test_there_are_no_other_pages() -> None:
    at, _ = desk()
    assert at.answer(Visit("DELETE", "/v1/batches/x", {}, OPENAI_HEADERS, b"", NOW_S)) is None
    assert at.answer(Visit("PUT", BATCHES, {}, ANTHROPIC_HEADERS, b"", NOW_S)) is None
    assert at.serves(BATCHES)
    assert not at.serves("/v1/messages")
    assert not at.serves("/v1/batcheses")


def test_nothing_is_left_after_a_reset() -> None:
    at, _ = desk()
    ask(at, "POST", BATCHES, requests(1))
    at.reset()
    assert ask(at, "GET", BATCHES)[1]["data"] == []


def test_the_small_worlds_own_prices_know_no_batch_tier() -> None:
    double = make_double()
    limits = JobLimits(5, 20_000, DAY_S)
    both = {"anthropic.messages": limits, "openai.chat": limits}
    at = BatchDesk(double, JobOptions(duration_s=0), both)
    _, made = ask(at, "POST", BATCHES, requests(1))
    results = lines(raw(at, "GET", f"{BATCHES}/{made['id']}/results"))
    assert results[0]["result"]["type"] == "errored"
    assert PRICES.price("claude-test", NOW_S) is not None
