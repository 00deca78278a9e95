import pytest

from batch_cases import INSTRUCTION, SCHEMA, assignment, tickets
from bursar.domain.json_schema import read_schema
from bursar.errors import BadLine
from bursar.policy.batch.items import read_items
from bursar.policy.batch.prompt import Assignment, items_text


def test_items_keep_their_order_their_lines_and_their_text() -> None:
    items = read_items([b'{"id": "b", "text": "x"}', b"", b' {"id": 7, "n": 1.50} '], "f.jsonl")
    assert [(item.id, item.line, item.text) for item in items] == [
        ("b", 1, '{"id": "b", "text": "x"}'),
        (7, 3, '{"id": 7, "n": 1.50}'),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([b'{"id": "a", "t": 1}', b"{"], "f.jsonl:2: is no JSON"),
        ([b"[1]"], "f.jsonl:1: an item is a JSON object"),
        ([b'{"text": "x"}'], 'f.jsonl:1: has no "id"; give each item one'),
        ([b'{"id": "", "t": 1}'], 'f.jsonl:1: has no "id"'),
        ([b'{"id": true, "t": 1}'], 'f.jsonl:1: has no "id"'),
        ([b'{"id": 1.5, "t": 1}'], 'f.jsonl:1: has no "id"'),
        ([b'{"id": "a"}'], "f.jsonl:1: has nothing but an id"),
        ([b'{"id": 7, "t": 1}', b"", b'{"id": "7", "t": 1}'], 'f.jsonl:3: the id "7" stands in line 1'),
        ([b'{"id": "\xff", "t": 1}'], "f.jsonl:1: is no JSON"),
    ],
)
def test_a_wrong_item_is_named_with_its_line_and_a_mend(lines: list[bytes], message: str) -> None:
    with pytest.raises(BadLine) as caught:
        read_items(lines, "f.jsonl")
    assert str(caught.value).startswith(message)


def test_a_call_holds_the_items_as_they_are_in_the_file() -> None:
    items = tickets(2)
    assert items_text(items) == f'{{"items":{{"1":{items[0].text},\n"2":{items[1].text}}}}}'
    assert items_text(items[:1], 'again "so"').endswith('},"note":"again \\"so\\""}')


def test_instructions_are_the_same_for_every_call_and_hold_the_schema() -> None:
    instructions = assignment().instructions
    assert instructions.startswith(INSTRUCTION)
    assert '"enum":["billing","shipping","other"]' in instructions


def test_a_fingerprint_changes_with_whatever_changes_the_work() -> None:
    items = tickets(3)
    named = assignment().fingerprint(items)
    others = (
        assignment("claude-sonnet-4-6").fingerprint(items),
        assignment(dialect="openai.chat").fingerprint(items),
        assignment().fingerprint(items[:2]),
        Assignment("Else.", read_schema(SCHEMA), "claude-haiku-4-5", "anthropic.messages").fingerprint(items),
        Assignment(INSTRUCTION, read_schema(True), "claude-haiku-4-5", "anthropic.messages").fingerprint(
            items
        ),
    )
    assert named == assignment().fingerprint(tickets(3))
    assert len({named, *others}) == 6
