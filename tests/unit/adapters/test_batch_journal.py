from pathlib import Path

import pytest

from bursar.adapters.batch.files import read_instruction, read_lines, read_schema_file, write_lines
from bursar.adapters.batch.journal import FileJournal, read_journal
from bursar.errors import BadSetting, CorruptStore, StoreFailed
from bursar.policy.batch.records import FORMAT, Head, Sent, Withdrawn
from bursar.policy.batch.work import PackedCall

HEAD = Head(FORMAT, "work", "anthropic.messages", "run1")
SENT = Sent(PackedCall(1, (0, 1), 500, "note"))


def reopened(path: Path, head: Head = HEAD) -> FileJournal:
    return FileJournal(path, head)


def test_a_journal_gives_back_what_was_written_and_keeps_its_first_run(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = reopened(path)
    journal.append(SENT)
    journal.append(Withdrawn(1))
    journal.close()
    again = reopened(path, Head(FORMAT, "work", "anthropic.messages", "run2"))
    assert again.head.run == "run1"
    assert again.records == [SENT, Withdrawn(1)]
    assert path.stat().st_mode & 0o077 == 0
    again.close()


@pytest.mark.parametrize("torn", [b'{"is":"sent","call":{"num', b"\x00"])
def test_a_line_that_a_crash_has_torn_is_no_part_of_it(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "j"
    journal = reopened(path)
    journal.append(SENT)
    journal.close()
    path.write_bytes(path.read_bytes() + torn)
    journal = reopened(path)
    journal.append(Withdrawn(1))
    journal.close()
    assert read_journal(path) == (HEAD, [SENT, Withdrawn(1)])


def test_a_torn_first_line_is_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"is":"batch","for')
    journal = reopened(path)
    assert journal.records == []
    journal.close()
    assert read_journal(path) == (HEAD, [])


def test_a_journal_of_other_work_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j"
    reopened(path).close()
    before = path.read_bytes()
    with pytest.raises(BadSetting, match="other items, another instruction"):
        reopened(path, Head(FORMAT, "else", "anthropic.messages", "run2"))
    assert path.read_bytes() == before


def test_a_journal_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = reopened(path)
    with pytest.raises(BadSetting, match="another bursar batch run"):
        reopened(path)
    journal.close()
    reopened(path).close()


@pytest.mark.parametrize("content", [b"hello\n", b"{}\n", b'{"is":"withdrawn","number":1}\n'])
def test_what_is_no_journal_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    with pytest.raises(CorruptStore, match="choose another --out"):
        reopened(path)
    assert path.read_bytes() == content


def test_a_journal_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="No such file"):
        reopened(tmp_path / "no" / "j")
    with pytest.raises(BadSetting, match="cannot be read"):
        read_journal(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{\n  1}", "is no JSON"),
        (b'{"type": "txt"}', "is no JSON schema: #/type: must be one or several"),
        (b"3", "is no JSON schema: #: a schema is an object"),
    ],
)
def test_a_file_that_holds_no_schema_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "schema.json"
    path.write_bytes(content)
    with pytest.raises(BadSetting, match=f"--schema: {path}.*{message}"):
        read_schema_file(path)


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="ITEMS: cannot read"):
        read_lines(tmp_path / "none")
    (tmp_path / "i").write_text(" \n")
    with pytest.raises(BadSetting, match="is empty"):
        read_instruction(tmp_path / "i")
    (tmp_path / "i").write_bytes(b"\xff")
    with pytest.raises(BadSetting, match="UTF-8"):
        read_instruction(tmp_path / "i")


def test_lines_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_lines(path, [{"id": 1}, {"id": 2}])
    assert path.read_text() == '{"id":1}\n{"id":2}\n'
    with pytest.raises(TypeError):
        write_lines(path, [{"id": 3}, {"id": object()}])
    assert path.read_text() == '{"id":1}\n{"id":2}\n'
    with pytest.raises(StoreFailed, match="cannot write"):
        write_lines(tmp_path / "no" / "out", [])
