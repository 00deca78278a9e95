import pytest

from bursar.errors import BadRequest
from bursar.exchange.arrival import attribute, chosen_mode


def test_labels_come_from_headers_and_default_where_absent() -> None:
    who = attribute({"x-bursar-tenant": "acme", "x-bursar-tags": "team=support, env=prod"}, "user-1")
    assert (who.tenant, who.agent, who.user) == ("acme", "default", "user-1")
    assert who.tags == (("env", "prod"), ("team", "support"))


def test_the_user_header_wins_over_the_dialects_own_field() -> None:
    assert attribute({"x-bursar-user": "from the header"}, "from the body").user == "from the header"


@pytest.mark.parametrize("name", ["Łódź", "Zürich", "東京", "plain"])
def test_a_label_in_utf8_is_read_as_it_was_written(name: str) -> None:
    as_the_server_reads_it = name.encode().decode("latin-1")
    assert attribute({"x-bursar-tenant": as_the_server_reads_it}, "").tenant == name


def test_a_label_in_latin_1_stays_as_it_is() -> None:
    assert attribute({"x-bursar-agent": "caf\xe9"}, "").agent == "café"


@pytest.mark.parametrize("value", ["x" * 257, "a\x00b", "\x1b[2J"], ids=["long", "nul", "escape"])
def test_a_label_that_cannot_be_one_is_refused_by_its_header(value: str) -> None:
    with pytest.raises(BadRequest, match="x-bursar-tenant"):
        attribute({"x-bursar-tenant": value}, "")


@pytest.mark.parametrize("value", ["erased", " erased "])
def test_no_call_is_for_those_who_were_erased(value: str) -> None:
    with pytest.raises(BadRequest, match="x-bursar-tenant: erased stands for"):
        attribute({"x-bursar-tenant": value}, "")
    assert attribute({"x-bursar-tenant": "Erased", "x-bursar-agent": "erased"}, "").agent == "erased"


@pytest.mark.parametrize("text", ["no-equals", "=empty", "a=1," + "b" * 300 + "=2"])
def test_tags_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="x-bursar-tags"):
        attribute({"x-bursar-tags": text}, "")


def test_a_mode_that_is_none_is_refused() -> None:
    assert chosen_mode({}, "observe") == "observe"
    assert chosen_mode({"x-bursar-mode": "passthrough"}, "observe") == "passthrough"
    with pytest.raises(BadRequest, match="optimise"):
        chosen_mode({"x-bursar-mode": "fast"}, "observe")
