import pytest

from bursar.domain.keys import Rights, Role
from bursar.errors import NotPermitted
from bursar.policy.keys.rights import OPERATOR, check_use, excesses, matches


@pytest.mark.parametrize(
    ("pattern", "text", "held"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("", "", True),
        ("*", "", True),
        ("*", "anything", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "acb", False),
        ("a*b*bc", "abc", False),
        ("*b*", "abc", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("A", "a", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_does(pattern: str, text: str, held: bool) -> None:
    assert matches(pattern, text) == held


def test_a_key_that_restricts_nothing_allows_all() -> None:
    check_use(Rights(Role.AGENT), "any", "")


def test_another_model_is_refused_and_the_allowed_ones_are_named() -> None:
    rights = Rights(Role.AGENT, models=("claude-haiku-*", "gpt-6-mini"))
    check_use(rights, "claude-haiku-4-5", "")
    with pytest.raises(NotPermitted, match=r"it allows claude-haiku-\*, gpt-6-mini"):
        check_use(rights, "claude-opus-4-6", "")


@pytest.mark.parametrize(("task", "said"), [("chat", "that task"), ("", "name no task")])
def test_another_task_is_refused_and_so_is_none(task: str, said: str) -> None:
    rights = Rights(Role.AGENT, tasks=("triage",))
    check_use(rights, "any", "triage")
    with pytest.raises(NotPermitted, match=f"{said}.* it allows triage"):
        check_use(rights, "any", task)


ACME = Rights(Role.ADMIN, "acme", models=("claude-*",), tasks=("triage",), expires_at_s=100.0)


@pytest.mark.parametrize(
    ("minted", "said"),
    [
        (Rights(Role.AGENT, "rival", None, ("claude-*",), ("triage",), 100.0), "tenant"),
        (Rights(Role.AGENT, None, None, ("claude-*",), ("triage",), 100.0), "tenant"),
        (Rights(Role.AGENT, "acme", None, ("*",), ("triage",), 100.0), "models"),
        (Rights(Role.AGENT, "acme", None, (), ("triage",), 100.0), "models"),
        (Rights(Role.AGENT, "acme", None, ("claude-*", "gpt-*"), ("triage",), 100.0), "models"),
        (Rights(Role.AGENT, "acme", None, ("claude-*",), (), 100.0), "tasks"),
        (Rights(Role.AGENT, "acme", None, ("claude-*",), ("triage",), 101.0), "outlive"),
        (Rights(Role.AGENT, "acme", None, ("claude-*",), ("triage",), None), "outlive"),
    ],
)
def test_a_key_may_not_allow_more_than_its_maker(minted: Rights, said: str) -> None:
    (excess,) = excesses(minted, ACME)
    assert said in excess
    assert list(excesses(minted, OPERATOR)) == []


def test_a_key_within_its_makers_rights_may_be_made() -> None:
    assert not list(excesses(Rights(Role.READER, "acme", "desk", ("claude-haiku*",), ("triage",), 9.0), ACME))


@pytest.mark.parametrize("role", [Role.AGENT, Role.READER])
def test_only_admins_make_keys(role: Role) -> None:
    assert list(excesses(Rights(role), Rights(role)))
