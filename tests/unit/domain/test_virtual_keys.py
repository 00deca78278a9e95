import pytest

from bursar.adapters.key_secrets import new_key, new_key_id
from bursar.domain.keys import SECRETS_MAX, Secret, digest_of, holds_key, is_key
from key_cases import made


def test_new_keys_have_the_form_of_keys_and_are_all_different() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_key(key) and holds_key(key) and len(key) == 46 for key in keys)
    assert not any(is_key(new_key_id()) for _ in range(10))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Bearer {key}", True),
        ("a={key}&b", True),
        ("{part}", True),
        ("sk-ant-api03-x{key}", False),  # A provider's key is random text too.
        ("bk_", False),
        ("bk_short", False),
        ("", False),
    ],
)
def test_a_key_is_recognised_where_it_stands_by_mistake(text: str, holds: bool) -> None:
    key = new_key()
    assert holds_key(text.format(key=key, part=key[:30])) == holds


@pytest.mark.parametrize("text", ["", "bk_", "x", "BK_" + "a" * 43, "bk_" + "a" * 42, "bk_" + "é" * 43])
def test_what_is_no_key_is_none(text: str) -> None:
    assert not is_key(text)
    assert len(digest_of(text)) == 64


def test_text_that_is_no_unicode_has_a_hash() -> None:
    assert digest_of("\ud800") != digest_of("")


def test_a_rotated_key_keeps_its_name_and_its_former_secret_for_a_while() -> None:
    key = made("a", key_id="k-7")
    once = key.rotated(digest_of("b"), 2_000.0, 60.0)
    assert (once.id, once.rights, once.created_at_s) == (key.id, key.rights, key.created_at_s)
    assert once.secrets == (Secret(digest_of("b")), Secret(digest_of("a"), 2_060.0))
    twice = once.rotated(digest_of("c"), 2_010.0, 3_600.0)
    assert [secret.until_s for secret in twice.secrets] == [None, 5_610.0, 2_060.0]
    at_once = once.rotated(digest_of("c"), 2_010.0, 0.0)
    assert [secret.until_s for secret in at_once.secrets] == [None, 2_010.0, 2_010.0]


def test_a_key_that_is_rotated_for_ever_stays_small() -> None:
    key = made("a")
    for number in range(100):
        key = key.rotated(digest_of(str(number)), float(number), 1_000.0)
    assert len(key.secrets) == SECRETS_MAX
    assert key.secrets[0] == Secret(digest_of("99"))
