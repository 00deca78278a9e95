import json
from array import array
from hashlib import sha256

import msgspec
import pytest

from bursar.errors import CorruptStore
from bursar.policy.routing.curve import Curve
from bursar.policy.routing.features import BUCKETS, read_features
from bursar.policy.routing.model import Head, Space, score
from bursar.policy.routing.model_file import VERSION, decode, encode
from routing_models import card, model_by_hand


def test_a_model_that_knows_nothing_is_undecided():
    assert score(model_by_hand(), read_features("anything at all")) == 0.5


def test_what_speaks_for_the_strong_model_raises_the_score():
    model = model_by_hand({"theorem": 3.0, "hello": -3.0})
    hard, easy = (score(model, read_features(text)) for text in ("theorem", "hello"))
    # 1 / (1 + e⁻³) = 0.9526, against 0.5 for the other head.
    assert hard == pytest.approx((1 + 0.952574 - 0.5) / 2, abs=1e-6)
    assert easy == pytest.approx((1 + 0.5 - 0.952574) / 2, abs=1e-6)


def test_extreme_weights_stay_within_bounds():
    model = model_by_hand({"always": 1e9, "never": -1e9})
    assert 0 <= score(model, read_features("never")) < score(model, read_features("always")) <= 1


def test_an_empty_text_has_a_score():
    assert score(model_by_hand({"theorem": 3.0}), read_features("")) == 0.5


def test_a_prompt_s_vector_has_length_one():
    space = Space(array("f", [2.0]) * BUCKETS, (), ())
    _, weights = space.weights({1: 1, 2: 3, 3: 1})
    assert sum(weight * weight for weight in weights) == pytest.approx(1)
    assert weights[1] > weights[0] == weights[2]


def test_measures_are_cut_where_they_say_no_more():
    space = Space(array("f", bytes(4 * BUCKETS)), (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 2.0))
    assert space.standardised((100.0, -100.0, 1.0, 2.0)) == [1.5, -1.5, 0.5, 0.25]


def test_a_model_that_judges_answers_refuses_a_prompt_alone():
    with pytest.raises(ValueError, match="zip"):
        score(model_by_hand(answers=True), read_features("prompt"))
    assert score(model_by_hand(answers=True), read_features("prompt", "answer")) == 0.5


def test_a_threshold_comes_with_the_wanted_quality():
    model = model_by_hand()
    assert model.threshold_for(0.5) == 1.0
    assert model.threshold_for(0.9) == 0.7
    assert model.threshold_for(0.95) == 0.4
    assert model.threshold_for(1.0) == 0.4


def test_a_file_gives_the_same_model_back():
    model = model_by_hand({"theorem": 3.0, "hello": -3.0})
    content = encode(model)
    assert decode(content, "m") == model
    assert encode(decode(content, "m")) == content


def test_a_file_holds_no_words():
    assert b"theorem" not in encode(model_by_hand({"theorem": 3.0}))


def test_the_first_line_can_be_read_by_a_person():
    header = json.loads(encode(model_by_hand()).split(b"\n")[0])
    assert (header["format"], header["version"]) == ("bursar.route.model", VERSION)
    assert header["card"]["data_sha256"] == "ab" * 32


def changed(content: bytes, **fields: object) -> bytes:
    """Write other fields into a model's first line, and seal it as if it had been made so."""
    line, _, rest = content.partition(b"\n")
    written = json.dumps({**json.loads(line), **fields}).encode() + b"\n" + rest[:-32]
    return written + sha256(written).digest()


GOOD = encode(model_by_hand({"theorem": 3.0}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no routing model"),
        (b"\n", "is no routing model"),
        (b"PK\x03\x04 a pickle or a zip\n\xff\xfe", "is no routing model"),
        (b'{"format": "other", "version": 1}\n', "is no routing model"),
        (b"[" * 5_000 + b"\n", "is no routing model"),
        (GOOD.partition(b"\n")[0], "is no routing model"),
        (changed(GOOD, version=VERSION + 1), f"is of version {VERSION + 1}, this Bursar reads {VERSION}"),
        (changed(GOOD, card=3), "is damaged"),
        (changed(GOOD, unheard_of=3), "is damaged"),
        (GOOD[:-1], "is not as it was written"),
        (GOOD + b"x", "is not as it was written"),
        (GOOD[:-40] + b"\1" + GOOD[-39:], "is not as it was written"),
        (GOOD.replace(b'"rows":10', b'"rows":11'), "is not as it was written"),
        (changed(GOOD, means=[1.0]), "do not fit together"),
        (changed(GOOD, deviations=[0.0] * 14), "do not fit together"),
        (changed(GOOD, curve={"calls": 1, "points": []}), "do not fit together"),
    ],
)
def test_a_file_that_is_no_whole_model_is_refused(content: bytes, said: str):
    with pytest.raises(CorruptStore, match=said) as raised:
        decode(content, "some.model")
    assert str(raised.value).startswith("some.model: ")
    assert "bursar route train" in str(raised.value)


def test_a_number_that_is_none_is_refused():
    model = model_by_hand()
    buckets = array("f", [float("nan")]) * BUCKETS
    broken = msgspec.structs.replace(model, better=Head(0.0, buckets, model.better.measures))
    with pytest.raises(CorruptStore, match="do not fit together"):
        decode(encode(broken), "m")


def test_a_card_of_answers_needs_measures_of_answers():
    model = msgspec.structs.replace(model_by_hand(), card=card(answer_field="reply"))
    with pytest.raises(CorruptStore, match="do not fit together"):
        decode(encode(model), "m")


def test_a_model_without_a_curve_is_refused():
    model = msgspec.structs.replace(model_by_hand(), curve=Curve(0, ()))
    with pytest.raises(CorruptStore, match="do not fit together"):
        decode(encode(model), "m")
