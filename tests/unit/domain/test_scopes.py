"""How scopes are named, and which patterns hold them."""

import pytest

from bursar.domain.attribution import ERASED, Attribution
from bursar.domain.scopes import Scope, ScopeKind, ScopePattern, patterns_of, read_pattern, scopes_of
from bursar.errors import BadSetting


def test_a_call_falls_under_all_its_scopes_the_widest_first() -> None:
    attribution = Attribution("acme", "desk", conversation="c1", user="ann")
    assert [str(scope) for scope in scopes_of(attribution, "k1")] == [
        "organisation",
        "tenant:acme",
        "agent:acme/desk",
        "key:k1",
        "user:acme/ann",
        "conversation:acme/c1",
    ]


def test_what_nobody_named_is_no_scope() -> None:
    assert [scope.kind for scope in scopes_of(Attribution())] == [
        ScopeKind.ORGANISATION,
        ScopeKind.TENANT,
        ScopeKind.AGENT,
    ]


def test_calls_of_erased_tenants_are_the_organisations_alone() -> None:
    assert scopes_of(Attribution(ERASED, ERASED, conversation="c1"), "k1") == (Scope.organisation(),)


def test_scopes_that_differ_are_written_differently() -> None:
    names = ("a", "a/b", "b", "a%2Fb", "%", "/", "%25", "")
    scopes = {Scope(ScopeKind.AGENT, tenant, name) for tenant in names for name in names}
    assert len({str(scope) for scope in scopes}) == len(scopes)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("organisation", ScopePattern(ScopeKind.ORGANISATION)),
        ("tenant:acme", ScopePattern(ScopeKind.TENANT, None, "acme")),
        ("tenant:a/b", ScopePattern(ScopeKind.TENANT, None, "a/b")),
        ("tenant:*", ScopePattern(ScopeKind.TENANT)),
        ("agent:desk", ScopePattern(ScopeKind.AGENT, None, "desk")),
        ("agent:acme/desk", ScopePattern(ScopeKind.AGENT, "acme", "desk")),
        ("agent:a%2Fb/c/d", ScopePattern(ScopeKind.AGENT, "a/b", "c/d")),
        ("agent:acme/*", ScopePattern(ScopeKind.AGENT, "acme")),
        ("agent:*/c/d", ScopePattern(ScopeKind.AGENT, None, "c/d")),
        ("conversation:*", ScopePattern(ScopeKind.CONVERSATION)),
        ("user:acme/ann", ScopePattern(ScopeKind.USER, "acme", "ann")),
        ("key:*", ScopePattern(ScopeKind.KEY)),
    ],
)
def test_patterns_are_read_and_written_alike(text: str, pattern: ScopePattern) -> None:
    assert read_pattern(text) == pattern
    assert str(pattern) == text


@pytest.mark.parametrize(
    "text", ["", "team:x", "tenant", "tenant:", "organisation:x", "agent:/x", "agent:x/", "Tenant:x"]
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(BadSetting):
        read_pattern(text)


def test_the_most_particular_pattern_comes_first() -> None:
    scope = Scope(ScopeKind.AGENT, "acme", "desk")
    assert [str(pattern) for pattern in patterns_of(scope)] == [
        "agent:acme/desk",
        "agent:desk",
        "agent:acme/*",
        "agent:*",
    ]
    assert [str(pattern) for pattern in patterns_of(Scope.organisation())] == ["organisation"]


def test_a_pattern_of_one_scope_names_it() -> None:
    for scope in scopes_of(Attribution("a/b", "c/d", conversation="e", user="f"), "k"):
        pattern = ScopePattern.only(scope)
        assert pattern.scope == scope
        assert read_pattern(str(scope)) == pattern
    assert read_pattern("agent:desk").scope is None
    assert read_pattern("tenant:*").scope is None
