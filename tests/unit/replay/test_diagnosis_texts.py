import json

import pytest

from bursar.domain.prompt import Place, Section
from bursar.replay.diagnosis.texts import RequestTexts

CLAUDE = {
    "tools": [{"name": "look", "description": "Looks", "cache_control": {"type": "ephemeral"}}],
    "system": [{"type": "text", "text": "Be brief"}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Well"}, {"type": "tool_use", "id": "t1"}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Found"}]},
    ],
}
GPT = {
    "tools": [{"type": "function", "function": {"name": "look"}}],
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "Found"},
    ],
}


@pytest.mark.parametrize(
    ("section", "piece", "block", "text"),
    [
        (Section.TOOLS, 0, 0, '{"name":"look","description":"Looks"}'),
        (Section.SYSTEM, 0, 0, "Be brief"),
        (Section.MESSAGES, 0, 0, "Hi"),
        (Section.MESSAGES, 1, 1, '{"type":"tool_use","id":"t1"}'),
        (Section.MESSAGES, 2, 0, "Found"),
        (Section.MESSAGES, 9, 0, ""),
    ],
)
def test_anthropics_texts_stand_in_their_own_fields(
    section: Section, piece: int, block: int, text: str
) -> None:
    texts = RequestTexts("anthropic.messages", json.dumps(CLAUDE).encode(), 1)
    assert texts.text(Place(section, piece, block)) == text
    assert texts.tool_name(0) == "look"


@pytest.mark.parametrize(
    ("section", "piece", "block", "text"),
    [
        (Section.SYSTEM, 0, 0, "Be brief"),
        (Section.MESSAGES, 0, 1, "there"),
        (Section.MESSAGES, 1, 0, '{"id":"c1"}'),
        (Section.MESSAGES, 2, 0, "Found"),
    ],
)
def test_openais_system_prompt_is_among_its_messages(
    section: Section, piece: int, block: int, text: str
) -> None:
    texts = RequestTexts("openai.chat", json.dumps(GPT).encode(), 1)
    assert texts.text(Place(section, piece, block)) == text
    assert texts.tool_name(0) == "look"


@pytest.mark.parametrize("body", [None, b"{oops"])
def test_a_body_that_is_gone_or_no_json_has_no_texts(body: bytes | None) -> None:
    texts = RequestTexts("openai.chat", body, 1)
    assert texts.text(Place(Section.MESSAGES, 0, 0)) == ""
    assert texts.tool_name(0) == ""
