from typing import Any

import pytest

from bursar.domain.usage import ServerTool
from bursar.wire.extras import NO_EXTRAS, Extras, read_extras
from wire_bodies import anthropic, openai

QUESTION = {"role": "user", "content": "Where?"}

CLIENT_TOOL = {
    "name": "look_up",
    "input_schema": {"type": "object", "properties": {"type": {"type": "string"}}},
}


def asked(message: Any = QUESTION, **fields: Any) -> Extras:
    return read_extras(anthropic([message], **fields))


def asked_openai(message: Any = QUESTION, **fields: Any) -> Extras:
    return read_extras(openai([message], **fields))


def test_most_requests_ask_for_nothing_besides() -> None:
    assert asked(tools=[CLIENT_TOOL]) is NO_EXTRAS
    assert asked_openai() is NO_EXTRAS


def test_a_search_with_a_limit_runs_that_often() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    found = asked(tools=[CLIENT_TOOL, search])
    assert found == Extras(provider_tools=1, uses={ServerTool.WEB_SEARCH: 3}, runs_tools=True)


def test_a_search_without_a_limit_runs_as_often_as_the_model_decides() -> None:
    found = asked(tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert found.uses == {ServerTool.WEB_SEARCH: None}


def test_a_tool_of_the_providers_that_the_client_runs_only_adds_its_text() -> None:
    found = asked(tools=[{"type": "bash_20250124", "name": "bash"}])
    assert found == Extras(provider_tools=1)


def test_an_advisor_has_no_price() -> None:
    assert asked(tools=[{"type": "advisor_20260301", "name": "advisor"}]).unpriced


def test_remote_tools_add_texts_that_nobody_sees() -> None:
    found = asked(mcp_servers=[{"type": "url", "url": "https://mcp.example", "name": "m"}])
    assert found.adds_unseen
    assert found.runs_tools


def test_a_compaction_is_seen_and_other_edits_are_none() -> None:
    assert asked(context_management={"edits": [{"type": "compact_20260112"}]}).compacts
    assert not asked(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}).compacts


def test_images_and_documents_are_counted_wherever_they_stand() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image, image]}
    found = asked({"role": "user", "content": [image, pdf, result]})
    assert (found.images, found.documents) == (3, 1)


def test_a_document_by_its_id_is_told_from_one_in_the_request() -> None:
    remote = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    found = asked({"role": "user", "content": [remote]})
    assert found.remote_documents >= 1


def test_text_that_reads_like_an_image_is_none() -> None:
    assert asked({"role": "user", "content": '{"type":"image"} "image"'}) is NO_EXTRAS


def test_openai_answers_several_times_and_searches_where_asked() -> None:
    found = asked_openai(n=3, web_search_options={}, prediction={"type": "content", "content": "ab"})
    assert found.choices == 3
    assert asked_openai(n=3.0).choices == 3
    assert found.uses == {ServerTool.WEB_SEARCH: None}
    assert found.predicted_bytes >= 2
    assert not found.runs_tools


@pytest.mark.parametrize("n", [None, 0, -1, "many", 10**12, 1.5])
def test_a_number_of_answers_that_is_none_counts_as_one(n: Any) -> None:
    assert asked_openai(n=n).choices == 1


def test_spoken_answers_and_recordings_have_no_price() -> None:
    assert asked_openai(audio={"voice": "alloy", "format": "wav"}).unpriced
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    assert asked_openai({"role": "user", "content": [part]}).unpriced
