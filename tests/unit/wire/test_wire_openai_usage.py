import pytest

from wire_bodies import OPENAI, openai

_CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}],"usage":null}\n\n'


def _meter(*, asks_for_usage: bool):
    fields = {"stream": True}
    if asks_for_usage:
        fields["stream_options"] = {"include_usage": True}
    return OPENAI.meter(openai([{"role": "user", "content": "hello"}], **fields))


def test_a_client_that_asked_for_usage_sees_each_chunk_as_it_came() -> None:
    assert _meter(asks_for_usage=True).feed(_CHUNK) == _CHUNK


@pytest.mark.parametrize(
    "member", [b',"usage":null', b', "usage": null', b',\t"usage" :null'], ids=["bare", "spaced", "tabbed"]
)
def test_a_client_that_did_not_ask_sees_no_empty_usage(member: bytes) -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]' + member + b',"id":"x"}\n\n'
    passed = _meter(asks_for_usage=False).feed(chunk)
    assert passed == chunk.replace(member, b"")


def test_text_that_looks_like_an_empty_usage_stays() -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":",\\"usage\\":null,"}}],"usage":null}\n\n'
    passed = _meter(asks_for_usage=False).feed(chunk)
    assert b',\\"usage\\":null,' in passed
    assert not passed.endswith(b'"usage":null}\n\n')
