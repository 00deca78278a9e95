"""Which requests are the same: what matters changes the key, what does not matter does not."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.response_cache import Space, request_key
from bursar.wire.dialect import Dialect
from bursar.wire.replaying import as_stream, as_whole
from provider_answers import completion, message
from wire_bodies import ANTHROPIC, OPENAI, read

SPACE = Space("acme", b"account", "anthropic", "/v1/messages", {})

texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.sampled_from(
    [
        "model",
        "max_tokens",
        "temperature",
        "top_p",
        "stop_sequences",
        "tool_choice",
        "seed",
        "n",
        "field_of_tomorrow",
    ]
)
values = st.one_of(st.integers(0, 9), texts, st.lists(texts, max_size=2))
tenants = st.text(st.characters(codec="utf-8"), max_size=8)


def write(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def body_of(texts_said: list[str], **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts_said or ["?"]]
    return {"model": "m", "max_tokens": 9, "messages": messages, **fields}


def key_of(body: Any, dialect: Dialect = ANTHROPIC, space: Space = SPACE) -> bytes:
    return request_key(read(dialect, write(body)), dialect, space)


bodies = st.builds(body_of, st.lists(texts, max_size=3), temperature=st.integers(0, 1), top_p=values)


@given(bodies, tenants, tenants)
def test_tenants_never_share_a_key(body: Any, one: str, other: str) -> None:
    keys = [key_of(body, space=Space(t, b"account", "anthropic", "/v1/messages", {})) for t in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@given(bodies)
def test_accounts_upstreams_paths_and_versions_never_share_a_key(body: Any) -> None:
    spaces = [
        SPACE,
        Space("acme", b"other", "anthropic", "/v1/messages", {}),
        Space("acme", b"account", "mirror", "/v1/messages", {}),
        Space("acme", b"account", "anthropic", "/v1/messages?beta=true", {}),
        Space("acme", b"account", "anthropic", "/v1/messages", {"anthropic-beta": "context-management"}),
        Space("acme", b"account", "anthropic", "/v1/messages", {"anthropic-version": "context-management"}),
        # The border between two parts is part of the key.
        Space("acm", b"account", "eanthropic", "/v1/messages", {}),
    ]
    assert len({key_of(body, space=space) for space in spaces}) == len(spaces)


@given(bodies)
def test_dialects_never_share_a_key(body: Any) -> None:
    assert key_of(body) != key_of(body, OPENAI)


@given(bodies, st.randoms(use_true_random=False))
def test_the_order_of_fields_and_other_headers_do_not_matter(body: Any, random: Any) -> None:
    fields = list(body.items())
    random.shuffle(fields)
    space = Space(
        "acme", b"account", "anthropic", "/v1/messages", {"user-agent": "sdk/2", "x-bursar-agent": "a"}
    )
    assert key_of(dict(fields), space=space) == key_of(body)


@given(bodies, names, st.data())
def test_any_other_value_of_a_field_changes_the_key(body: Any, name: str, data: Any) -> None:
    of_type = texts.filter(bool) if name == "model" else st.integers(0, 9) if name == "max_tokens" else values
    value = data.draw(of_type)
    changed = body | {name: value}
    assert (key_of(changed) == key_of(body)) == (write(changed) == write(body))


@given(bodies, st.lists(texts, min_size=1, max_size=3))
def test_any_other_messages_change_the_key(body: Any, said: list[str]) -> None:
    other = body | {"messages": body_of(said)["messages"]}
    assert (key_of(other) == key_of(body)) == (other == body)


@given(bodies, bodies)
def test_two_bodies_share_a_key_only_if_they_are_the_same(one: Any, other: Any) -> None:
    assert (key_of(one) == key_of(other)) == (write(one) == write(other))


@given(bodies, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_blanks_and_escapes_do_not_change_the_key(body: Any, indent: Any, escaped: bool) -> None:
    # The official SDKs write compactly; other clients as they like.
    written = json.dumps(body, indent=indent, ensure_ascii=escaped).replace("/", "\\/").encode()
    for dialect in (ANTHROPIC, OPENAI):
        assert request_key(read(dialect, written), dialect, SPACE) == key_of(body, dialect)


@given(bodies)
def test_keys_in_another_order_below_the_top_are_another_request(body: Any) -> None:
    turned = [dict(reversed(each.items())) for each in body["messages"]]
    assert key_of(body | {"messages": turned}) != key_of(body)


@given(bodies)
def test_a_mark_does_not_change_the_key_however_it_is_written(body: Any) -> None:
    marked = json.loads(json.dumps(body))
    marked["messages"][-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    for written in (write(marked), json.dumps(marked, indent=1).encode()):
        assert request_key(read(ANTHROPIC, written), ANTHROPIC, SPACE) == key_of(body)


@given(bodies, st.booleans(), texts)
def test_delivery_filing_and_billing_do_not_change_the_key(body: Any, stream: bool, user: str) -> None:
    idle: Any = {
        "stream": stream,
        "stream_options": {"include_usage": stream},
        "metadata": {"user_id": user},
        "user": user,
        "safety_identifier": user,
        "service_tier": "flex",
        "prompt_cache_key": user,
        "prompt_cache_options": {"mode": "explicit"},
        "cache_control": {"type": "ephemeral"},
    }
    for dialect in (ANTHROPIC, OPENAI):
        assert key_of(body | idle, dialect) == key_of(body, dialect)


MARKS = {
    ANTHROPIC.name: {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    OPENAI.name: {"prompt_cache_breakpoint": {"mode": "explicit"}},
}


@given(st.sampled_from([ANTHROPIC, OPENAI]), bodies, st.sets(st.integers(0, 2)))
def test_cache_marks_do_not_change_the_key(dialect: Dialect, body: Any, marked: set[int]) -> None:
    messages = [
        message | {"content": [message["content"][0] | (MARKS[dialect.name] if number in marked else {})]}
        for number, message in enumerate(body["messages"])
    ]
    assert key_of(body | {"messages": messages}, dialect) == key_of(body, dialect)


def test_marks_on_tools_system_and_nested_blocks_do_not_change_the_key() -> None:
    def body(mark: Any) -> Any:
        result = [{"type": "text", "text": "4 found"} | mark]
        blocks = [{"type": "tool_result", "tool_use_id": "t", "content": result} | mark]
        return body_of([]) | {
            "tools": [{"name": "look", "input_schema": {}} | mark],
            "system": [{"type": "text", "text": "Be brief."} | mark],
            "messages": [{"role": "user", "content": blocks}],
        }

    assert key_of(body(MARKS[ANTHROPIC.name])) == key_of(body({}))


def test_what_looks_like_a_mark_within_content_does_change_the_key() -> None:
    def body(arguments: Any) -> Any:
        call = {"type": "tool_use", "id": "t", "name": "look", "input": arguments} | MARKS[ANTHROPIC.name]
        return body_of([]) | {"messages": [{"role": "assistant", "content": [call]}]}

    assert key_of(body({"cache_control": {"type": "ephemeral"}})) != key_of(body({}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
anthropic_blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda t, s: {"type": "thinking", "thinking": t, "signature": s}, texts, texts),
    st.builds(
        lambda i, given: {"type": "tool_use", "id": i, "name": "look", "input": given},
        texts,
        st.dictionaries(texts, json_values, max_size=3),
    ),
    st.builds(lambda value: {"type": "type_of_tomorrow", "value": value}, json_values),
)


@given(st.lists(anthropic_blocks, max_size=4), st.sampled_from(["end_turn", "tool_use", "max_tokens"]))
def test_anthropics_answers_survive_being_streamed(content: list[Any], reason: str) -> None:
    body = message() | {"content": content, "stop_reason": reason}
    assert json.loads(as_whole(ANTHROPIC.name, as_stream(ANTHROPIC.name, write(body)) or b"") or b"0") == body


openai_calls = st.builds(
    lambda i, given: {"id": i, "type": "function", "function": {"name": "look", "arguments": given}},
    texts,
    texts,
)
openai_messages = st.builds(
    lambda content, calls: (
        {"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})
    ),
    st.none() | texts,
    st.lists(openai_calls, max_size=3),
)


@given(st.lists(openai_messages, min_size=1, max_size=3), st.sampled_from(["stop", "length", "tool_calls"]))
def test_openais_answers_survive_being_streamed(messages: list[Any], reason: str) -> None:
    choices = [{"index": i, "message": m, "finish_reason": reason} for i, m in enumerate(messages)]
    body = completion() | {"choices": choices}
    assert json.loads(as_whole(OPENAI.name, as_stream(OPENAI.name, write(body)) or b"") or b"0") == body


@given(
    st.binary(max_size=60)
    | st.sampled_from([b"data: {}", b'data: {"type":"message_start"}', b"data: [DONE]"])
)
def test_any_bytes_are_told_otherwise_or_not_at_all(content: bytes) -> None:
    for dialect in (ANTHROPIC.name, OPENAI.name):
        assert as_stream(dialect, content) is None
        assert as_whole(dialect, content) is None


@given(json_values, json_values, json_values)
def test_any_events_are_told_as_a_whole_or_not_at_all(one: Any, two: Any, three: Any) -> None:
    events = [
        {"type": "message_start", "message": {"usage": one}},
        {"type": "content_block_start", "index": 0, "content_block": two},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": three}},
        {"type": "message_delta", "delta": two, "usage": three},
        {"type": "message_stop"},
    ]
    chunks = [
        {"choices": one},
        {"choices": [{"delta": two}]},
        {"choices": [{"delta": three, "index": 1}]},
        two,
    ]
    for dialect, said in ((ANTHROPIC.name, events), (OPENAI.name, chunks)):
        stream = b"".join(b"data: " + write(event) + b"\n\n" for event in said) + b"data: [DONE]\n\n"
        whole = as_whole(dialect, stream)
        assert whole is None or isinstance(json.loads(whole), dict)
