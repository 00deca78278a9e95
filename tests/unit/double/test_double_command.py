import json
import socket
from pathlib import Path

import pytest

from bursar.cli.double import double
from bursar.errors import BadLine, BadSetting
from bursar.wiring.double import read_transcripts


def test_a_port_in_use_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadSetting, match="in use"):
            double(port=taken.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no JSON"), ("[]", "is no JSON object"), ('{"conversation": ""}', "needs a name")],
)
def test_a_wrong_line_of_a_transcript_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text('\n{"conversation": "c", "calls": []}\n' + text)
    with pytest.raises(BadLine, match=message) as caught:
        read_transcripts([file], None)
    assert (caught.value.file, caught.value.line) == (str(file), 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no JSON"), ('{"name": "look"}', "no array of tools"), ("[1]", "no array of tools")],
)
def test_a_wrong_file_of_tools_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "tools.json"
    file.write_text(text)
    with pytest.raises(BadSetting, match=message):
        read_transcripts([], file)


def test_tools_come_in_either_apis_form(tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([{"name": "look"}, {"type": "function", "function": {"name": "find"}}]))
    calls = [{"id": "c", "function": {"name": name, "arguments": "{}"}} for name in ("look", "find")]
    talk = tmp_path / "talk.jsonl"
    talk.write_text(
        json.dumps({"conversation": "c", "messages": [{"role": "assistant", "tool_calls": calls}]})
    )
    assert len(read_transcripts([talk], tools)) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="nowhere"):
        read_transcripts([tmp_path / "nowhere.jsonl"], None)
