from pathlib import Path

import pytest

from bursar.errors import BadLine, CallerMistake
from bursar.replay import files as files_module
from bursar.replay.calls import RecordedCall
from bursar.replay.files import Item, Skipped, Watching, open_recordings
from bursar.replay.transcripts import Conversation

TALK = (
    '{"conversation":"a","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}'
)
LONE = '{"conversation":"b","calls":[{"input":"Hi","output":"Hello"},{"input":"","output":"?"}]}'
LOGGED = (
    '{"at":"2026-11-20T10:00:00Z","dialect":"anthropic.messages",'
    '"request":{"model":"claude-sonnet-4-6","max_tokens":9,"messages":[]},"response":{"content":[]}}'
)
FAILED = LOGGED.replace('{"content":[]}', '{"error":{"message":"no"}}')


class Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.skipped = Skipped()
        self.bad: list[BadLine] = []
        self.bytes = 0

    def read(self, *contents: str) -> list[list[Item]]:
        paths = [self._folder / f"{number}.jsonl" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        watching = Watching(self.skipped, self.bad.append, self._advance)
        return [list(items) for items in open_recordings([str(path) for path in paths], watching)]

    def _advance(self, count: int) -> None:
        self.bytes += count


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_each_line_is_read_by_its_own_form(reader: Reader) -> None:
    content = f"{TALK}\n\n{LONE}\n{LOGGED}\n"
    (items,) = reader.read(content)
    assert [type(item) for item in items] == [Conversation, Conversation, RecordedCall]
    assert [item.place.rpartition(":")[2] for item in items] == ["1", "3", "4"]
    assert reader.bytes == len(content)


def test_what_holds_no_call_is_counted(reader: Reader) -> None:
    reader.read(f"{LONE}\n{FAILED}\n{FAILED}")
    assert (reader.skipped.empty_calls, reader.skipped.failed_calls, reader.skipped.lines) == (1, 2, 0)


def test_a_wrong_line_is_named_with_file_line_and_reason(reader: Reader, tmp_path: Path) -> None:
    (items,) = reader.read(TALK + '\n{oops\n[1]\n{"a":1}\n' + TALK)
    assert len(items) == 2
    assert reader.skipped.lines == 3
    assert [bad.line for bad in reader.bad] == [2, 3, 4]
    assert str(reader.bad[0]).startswith(f"{tmp_path / '0.jsonl'}:2: is no JSON")
    assert "is no JSON object" in str(reader.bad[1])
    assert "neither a transcript" in str(reader.bad[2])


def test_a_line_that_is_too_long_is_skipped_whole(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "_LINE_BYTES_MAX", 200)
    (items,) = reader.read("\n".join((TALK, "x" * 1_000, TALK)))
    assert len(items) == 2
    assert "is longer than" in str(reader.bad[0])
    assert items[1].place.endswith(":3")


@pytest.mark.parametrize("content", ["", "\n\n", "{oops\n"])
def test_a_file_without_a_valid_line_is_a_mistake(reader: Reader, content: str) -> None:
    with pytest.raises(CallerMistake, match="holds no line that can be replayed"):
        reader.read(TALK, content)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    watching = Watching(Skipped(), lambda _: None, lambda _: None)
    with pytest.raises(CallerMistake, match="cannot be read"):
        open_recordings([str(tmp_path / "none.jsonl")], watching)
    with pytest.raises(CallerMistake, match="cannot be read"):
        open_recordings([str(tmp_path)], watching)
