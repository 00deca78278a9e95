import pytest

from bursar.domain.keys import Rights, Role
from bursar.errors import BadSetting
from bursar.settings.keys import read_rights


def test_what_is_not_said_is_an_agents_key_without_limits() -> None:
    assert read_rights({"tenant": "acme"}, None) == Rights(Role.AGENT, "acme")


def test_all_that_can_be_said() -> None:
    said = {"role": "agent", "tenant": "*", "agent": "desk", "models": "a*, b,,a*", "tasks": "triage"}
    assert read_rights(said, 5.0) == Rights(Role.AGENT, None, "desk", ("a*", "b"), ("triage",), 5.0)


def test_a_star_among_patterns_allows_all() -> None:
    assert read_rights({"tenant": "acme", "models": "a,*"}, None).models == ()


@pytest.mark.parametrize(
    ("said", "place", "why"),
    [
        ({"role": "admn"}, "role", 'did you mean "admin"'),
        ({"role": ""}, "role", "roles are admin, agent, reader"),
        ({"tenant": ""}, "tenant", "1 to 256 printable characters"),
        ({"tenant": " acme"}, "tenant", "no blanks around"),
        ({"agent": "a\nb"}, "agent", "printable"),
        ({"models": " , "}, "models", "names nothing"),
        ({"models": "x" * 257}, "models", "1 to 256"),
        ({"models": ",".join(map(str, range(101)))}, "models", "at most 100"),
        ({"tasks": "bk_" + "a" * 43}, "tasks", "holds a key"),
        ({"role": "admin", "agent": "desk"}, "agent", "all agents of its tenant"),
        ({"role": "reader", "models": "a"}, "models", "makes no calls"),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, str], place: str, why: str) -> None:
    with pytest.raises(BadSetting, match=why) as refused:
        read_rights({"tenant": "acme", **said}, None, prefix="--")
    assert refused.value.place == f"--{place}"


def test_a_tenant_has_to_be_said() -> None:
    with pytest.raises(BadSetting, match="--tenant: is missing"):
        read_rights({}, None, prefix="--")
