import msgspec
import pytest

from bursar.domain.admin import AdminItem, AdminState, ItemKind
from bursar.domain.keys import digest_of
from bursar.errors import StoreFailed
from bursar.policy.keys.ring import Denial, Grant, KeyRing, key_item, read_keys
from key_cases import made, ring_with


def test_a_key_grants_what_it_pins() -> None:
    secret, ring = ring_with(agent="desk", models=("a",))
    grant = ring.find(secret, 0.0)
    assert isinstance(grant, Grant)
    assert (grant.key_id, grant.pins) == ("k-1", (("tenant", "acme"), ("agent", "desk")))
    assert grant.is_restricted


@pytest.mark.parametrize(
    "change", [lambda key: key[:-1], lambda key: key + "A", lambda key: key.lower(), str.upper]
)
def test_nothing_near_a_key_opens(change: object) -> None:
    secret, ring = ring_with()
    assert callable(change)
    assert ring.find(change(secret), 0.0) is Denial.UNKNOWN


def test_a_keys_hash_does_not_open() -> None:
    secret, ring = ring_with()
    assert ring.find(digest_of(secret), 0.0) is Denial.UNKNOWN


def test_a_key_ends_on_the_second() -> None:
    secret, ring = ring_with(expires_at_s=50.0)
    assert isinstance(ring.find(secret, 49.999), Grant)
    assert ring.find(secret, 50.0) is Denial.EXPIRED


def test_a_revoked_key_never_opens_and_still_counts_as_a_key() -> None:
    ring = KeyRing([made("s").revoked(5.0)])
    assert ring.find("s", 1.0) is Denial.REVOKED
    assert ring


def test_a_former_secret_opens_until_its_overlap_ends() -> None:
    ring = KeyRing([made("old").rotated(digest_of("new"), 10.0, 5.0)])
    assert isinstance(ring.find("new", 10.0), Grant)
    assert isinstance(ring.find("old", 14.9), Grant)
    assert ring.find("old", 15.0) is Denial.REPLACED


def test_what_is_new_waits_and_what_has_ended_does_not() -> None:
    before = KeyRing([made("a", "k-a"), made("b", "k-b")])
    after = KeyRing([made("a", "k-a").revoked(1.0), made("b", "k-b"), made("c", "k-c")])
    at_once = after.without_new(before.digests)
    assert at_once.find("a", 9.0) is Denial.REVOKED
    assert at_once.find("c", 9.0) is Denial.UNKNOWN
    later = after.with_new_from(before.digests, 10.0)
    assert isinstance(later.find("b", 0.0), Grant)
    assert later.find("c", 9.9) is Denial.UNKNOWN
    assert isinstance(later.find("c", 10.0), Grant)


def test_keys_are_kept_as_they_are() -> None:
    key = made("s", agent="é", tasks=("t",), expires_at_s=5.0).rotated(digest_of("t"), 1.0, 2.0).revoked(3.0)
    item = key_item(key, "ann", 3.0)
    assert (item.kind, item.name) == (ItemKind.KEY, "k-1")
    assert read_keys(AdminState(1, {ItemKind.KEY: {"k-1": item}})) == (key,)
    assert read_keys(AdminState(0, {})) == ()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"id": "k", "rights": {"role": "king"}}', "[" * 5_000, None]
)
def test_a_key_that_cannot_be_read_is_not_passed_over(content: str | None) -> None:
    if content is None:
        known = msgspec.json.decode(msgspec.json.encode(made("s")))
        content = msgspec.json.encode({**known, "only_on_mondays": True}).decode()
    item = AdminItem(ItemKind.KEY, "k", content, 1.0, "ann")
    with pytest.raises(StoreFailed, match="key 'k' cannot be read"):
        read_keys(AdminState(1, {ItemKind.KEY: {"k": item}}))


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("x{key}y", True),
        ("bk_bk_{key}", True),
        ("{key}", True),
        ("bk_", False),
        ("", False),
        ("bk_" * 21, True),
    ],
)
def test_a_key_of_the_ring_is_seen_within_other_text(text: str, held: bool) -> None:
    secret, ring = ring_with()
    assert ring.holds_any_in(text.format(key=secret)) == held
    assert KeyRing().holds_any_in(text.format(key=secret)) == (text == "bk_" * 21)
