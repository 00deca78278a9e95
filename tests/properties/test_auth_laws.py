"""Nobody gets in who has no key, whatever they send; and no key makes another that may do more than it."""

import asyncio
import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asgi_client import Answered, Asked, ask
from auth_attacks import HEADERS, TARGETS, attacks
from bursar.adapters.key_secrets import new_key
from bursar.domain.keys import Rights, Role, digest_of
from bursar.errors import NotPermitted
from bursar.gateway.auth import Guard
from bursar.gateway.hosts import LOOPBACK_NAMES, Hosts
from bursar.policy.keys.rights import OPERATOR, check_use, excesses, matches
from bursar.policy.keys.ring import KeyRing
from gateway_scene import GatewayScene
from key_cases import made
from provider_answers import message
from scripted_world import NOW_S, whole
from scripted_world import ask as question

KEY, FORMER, REVOKED, EXPIRED = (new_key() for _ in range(4))
ENDED = (FORMER, REVOKED, EXPIRED)
RING = KeyRing(
    [
        made(FORMER, "k-valid").rotated(digest_of(KEY), NOW_S - 10, 5.0),
        made(REVOKED, "k-revoked").revoked(NOW_S - 1),
        made(EXPIRED, "k-expired", expires_at_s=NOW_S - 1),
    ]
)
PROVIDER_KEYS = {"anthropic": "sk-operator", "openai": "sk-operator"}
BODY = json.dumps(question()).encode()
REFUSALS = {401, 403, 421}

MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def scene() -> GatewayScene:
    guard = Guard(frozenset(PROVIDER_KEYS), operator_token="open sesame", ring=RING)
    return GatewayScene(
        whole(message()), guard=guard, hosts=Hosts(LOOPBACK_NAMES), provider_keys=PROVIDER_KEYS
    )


def asked(target: str, headers: dict[str, str]) -> tuple[GatewayScene, Answered]:
    tried = scene()

    async def play() -> Answered | None:
        async with asyncio.timeout(10):
            method = "GET" if "models" in target or "budget" in target or "results" in target else "POST"
            return await ask(tried.app, Asked(method, target, headers, [BODY]))

    answered = asyncio.run(play())
    assert answered is not None
    return tried, answered


def check_kept_out(target: str, headers: dict[str, str]) -> None:
    tried, answered = asked(target, headers)
    assert answered.status in REFUSALS, (answered.status, answered.body)
    assert tried.upstream.requests == []
    assert tried.ledger.entries == []
    told = answered.body.decode() + str(answered.headers)
    assert not any(key in told for key in (KEY, *ENDED, "sk-operator", "open sesame"))
    assert len(answered.body) < 2_000


TRIED = [*attacks(KEY, "k-valid", digest_of(KEY)), *ENDED, new_key()]


def test_the_key_of_these_tests_would_be_let_in() -> None:
    tried, answered = asked("/v1/messages", {"x-bursar-key": KEY, "host": "localhost"})
    assert answered.status == 200
    assert len(tried.upstream.requests) == 1


@pytest.mark.parametrize("header", ["x-bursar-key", "x-api-key", "authorization"])
def test_no_attack_of_the_dictionary_gets_in(header: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for number, value in enumerate(TRIED):
        for form in (value, f"Bearer {value}", f"Basic {value}"):
            text = form.encode().decode("latin-1")
            check_kept_out(TARGETS[number % len(TARGETS)], {header: text})
            check_kept_out("/v1/messages", {header: text})
    assert not any(key in caplog.text for key in (KEY, *ENDED))


@pytest.mark.parametrize("name", ["key", "api_key", "x-bursar-key", "access_token"])
def test_no_key_in_a_url_gets_in(name: str) -> None:
    for target in TARGETS:
        check_kept_out(f"{target}?{name}={KEY}", {})
        check_kept_out(f"{target}?beta=true&{name}={KEY}", {"x-bursar-key": KEY})


values = (
    st.sampled_from(TRIED)
    | st.text(st.characters(max_codepoint=255), max_size=60)
    | st.builds("bk_{}".format, st.text("ABCxyz019_-", min_size=40, max_size=46))
    | st.builds("Bearer bk_{}".format, st.text("ABCxyz019_-", min_size=43, max_size=43))
)


@MANY
@given(
    st.sampled_from(TARGETS),
    st.dictionaries(
        st.sampled_from(HEADERS), values.map(lambda value: value.encode().decode("latin-1")), max_size=6
    ),
)
def test_nothing_else_gets_in_either(target: str, headers: dict[str, str]) -> None:
    check_kept_out(target, headers)


@MANY
@given(
    st.sampled_from(TARGETS),
    st.dictionaries(
        st.sampled_from([name for name in HEADERS if name != "x-bursar-key"]),
        st.sampled_from(TRIED).map(lambda value: value.encode().decode("latin-1")),
        max_size=4,
    ),
)
def test_with_a_key_nothing_fails_and_nobody_is_somebody_else(target: str, headers: dict[str, str]) -> None:
    tried, answered = asked(target, {**headers, "x-bursar-key": KEY})
    assert answered.status < 500
    for entry in tried.ledger.entries:
        assert (entry.attribution.tenant, entry.attribution.key) == ("acme", "k-valid")
    for request in tried.upstream.requests:
        assert KEY not in request.path + str(dict(request.headers))
        credentials = {"x-api-key", "authorization"} & request.headers.keys()
        assert all("sk-operator" in request.headers[name] for name in credentials)


patterns = st.lists(st.text("ab*", min_size=1, max_size=4), max_size=3).map(tuple)
rights = st.builds(
    Rights,
    st.sampled_from(Role),
    st.none() | st.sampled_from(["acme", "rival"]),
    st.none() | st.sampled_from(["desk", "other"]),
    patterns,
    patterns,
    st.none() | st.sampled_from([10.0, 20.0]),
)


def allows(said: Rights, use: tuple[str, str, str, str, float]) -> bool:
    tenant, agent, model, task, at_s = use
    try:
        check_use(said, model, task)
    except NotPermitted:
        return False
    return (
        said.tenant in {None, tenant}
        and said.agent in {None, agent}
        and (said.expires_at_s is None or at_s < said.expires_at_s)
    )


uses = st.tuples(
    st.sampled_from(["acme", "rival", "third"]),
    st.sampled_from(["desk", "other", "third"]),
    st.text("abc", max_size=5),
    st.text("abc", max_size=5),
    st.sampled_from([5.0, 15.0, 25.0]),
)


@settings(max_examples=500, deadline=None)
@given(rights, rights, uses)
def test_a_minted_key_allows_nothing_that_its_minter_does_not(
    minted: Rights, minter: Rights, use: tuple[str, str, str, str, float]
) -> None:
    if not list(excesses(minted, minter)):
        assert minter.role is Role.ADMIN
        assert not allows(minted, use) or allows(minter, use)


@given(rights)
def test_an_admin_may_mint_what_it_is_itself_and_the_operator_anything(said: Rights) -> None:
    assert list(excesses(said, OPERATOR)) == []
    if said.role is Role.ADMIN:
        assert list(excesses(said, said)) == []


@given(
    st.lists(st.text("ab", max_size=3), min_size=1, max_size=5),
    st.lists(st.text("ab*", max_size=4), max_size=5),
)
def test_a_pattern_holds_whatever_its_stars_become(parts: list[str], fillings: list[str]) -> None:
    text = parts[0]
    for number, part in enumerate(parts[1:]):
        text += (fillings[number] if number < len(fillings) else "") + part
    assert matches("*".join(parts), text)
