import re
from pathlib import Path

import orjson
import pytest
from small_world import (
    MODELS,
    PRICES,
    RATIOS,
    RULES,
    WordTokenizer,
    anthropic_call,
    claude,
    gpt,
    openai_call,
    play,
)

from bursar.double.calls import DoubleOptions
from bursar.double.labels import LabelBook
from bursar.double.provider import ProviderDouble, Provisions
from bursar.errors import BadLine, BadRequest
from bursar.wiring.double import Course, build_double_app

LABELS = [
    {"id": f"t{n}", "text": f"Ticket number {n}", "answer": {"topic": "billing", "n": n}} for n in range(200)
]


def labelled(fault_rate: float = 0.0, labels: object = LABELS) -> ProviderDouble:
    book = LabelBook(fault_rate)
    for each in labels:
        book.add(each)
    has = Provisions(PRICES, RULES, RATIOS, MODELS, WordTokenizer(), labels=book)
    return ProviderDouble(has, DoubleOptions())


def items(count: int) -> str:
    return orjson.dumps({"items": {str(n): {"id": f"t{n}", "text": "any"} for n in range(count)}}).decode()


def said(double: ProviderDouble, text: str) -> str:
    answer, _ = play(
        double, anthropic_call(claude(max_tokens=4096, messages=[{"role": "user", "content": text}]))
    )
    return answer["content"][0]["text"]


def test_items_are_answered_by_their_ids_in_both_apis() -> None:
    double = labelled()
    expected = {str(n): LABELS[n]["answer"] for n in range(3)}
    assert orjson.loads(said(double, items(3))) == expected
    answer, _ = play(double, openai_call(gpt(messages=[{"role": "user", "content": items(3)}])))
    assert orjson.loads(answer["choices"][0]["message"]["content"]) == expected


def test_a_text_alone_is_answered_by_its_answer_alone() -> None:
    assert orjson.loads(said(labelled(), " Ticket number 7\n")) == {"topic": "billing", "n": 7}
    plain = labelled(labels=[{"id": 1, "text": "Hello", "answer": "greeting"}])
    assert said(plain, "Hello") == "greeting"


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"items": 3}', '{"items": {"1": 1, "2": {"id": "t999"}}}', "Who?"]
)
def test_what_asks_about_nothing_known_is_answered_as_ever(text: str) -> None:
    assert not said(labelled(), text).startswith("{")


def test_a_share_of_the_items_is_answered_wrongly_the_same_ones_each_time() -> None:
    text = said(labelled(0.3), items(200))
    assert text == said(labelled(0.3), items(200))
    names = re.findall(r'"([\d]+(?:-again)?)":(?:\{|\[)', text)
    whole = re.findall(r'"(\d+)":\{', text)
    right = [name for name in whole if names.count(name) == 1]
    assert 100 < len(right) < 180
    assert any(name.endswith("-again") for name in names)
    assert len(whole) > len(set(whole))
    assert '":[{' in text


def test_an_item_alone_is_answered_well() -> None:
    double = labelled(1.0)
    assert orjson.loads(said(double, items(1))) == {"0": LABELS[0]["answer"]}


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ({"text": "a", "answer": 1}, "id"),
        ({"id": 1, "answer": 1}, "text"),
        ({"id": 1, "text": "a"}, "answer"),
    ],
)
def test_a_label_that_lacks_something_is_refused(label: dict[str, object], place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        LabelBook().add(label)
    assert caught.value.place == place


def test_a_wrong_line_of_labels_is_named(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"id": 1, "text": "a", "answer": 1}\n{"id": 2}\n')
    with pytest.raises(BadLine, match=r"labels\.jsonl:2: text: a label has a text"):
        build_double_app(DoubleOptions(), Course(labels=file), time_scale=1)
