import pytest

from bursar.exchange.headers import for_client, for_provider, header_text

SENT = {
    "host": "127.0.0.1:4100",
    "content-length": "9",
    "transfer-encoding": "chunked",
    "connection": "keep-alive",
    "accept-encoding": "gzip",
    "x-api-key": "k",
    "anthropic-beta": "b",
    "x-bursar-tenant": "acme",
    "x-bursar-key": "bk",
}


def test_framing_and_our_own_headers_stay_here() -> None:
    assert for_provider(SENT, attribution=False) == {"x-api-key": "k", "anthropic-beta": "b"}


def test_attribution_goes_on_where_it_may_but_never_the_key() -> None:
    assert for_provider(SENT, attribution=True) == {
        "x-api-key": "k",
        "anthropic-beta": "b",
        "x-bursar-tenant": "acme",
    }


def test_what_comes_back_is_freed_of_framing_cookies_and_what_poses_as_ours() -> None:
    answered = {
        "Content-Type": "application/json",
        "Content-Length": "5",
        "Set-Cookie": "a=b",
        "X-Bursar-Cost-Usd": "0",
        "retry-after": "3",
    }
    assert for_client(answered) == {"content-type": "application/json", "retry-after": "3"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("claude-sonnet-4-6", "claude-sonnet-4-6"),
        ("a\r\nb: c", "a??b: c"),
        ("\x00", "?"),
        ("x" * 999, "x" * 200),
    ],
)
def test_text_of_any_origin_cannot_end_a_header(text: str, shown: str) -> None:
    assert header_text(text) == shown
