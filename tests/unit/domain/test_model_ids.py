import pytest

from bursar.domain.model_ids import ModelTable

TABLE = ModelTable(
    [
        ("claude-*", "family"),
        ("claude-opus-4", "opus 4"),
        ("claude-opus-4-5", "opus 4.5"),
        ("gpt-5*", "five"),
        ("gpt-5.5*", "five and a half"),
    ]
)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("claude-opus-4", "opus 4"),
        ("claude-opus-4-20250514", "opus 4"),
        ("claude-opus-4@20250514", "opus 4"),
        ("claude-opus-4-latest", "opus 4"),
        ("claude-opus-4-2025-05-14", "opus 4"),
        ("claude-opus-4-5-20251101", "opus 4.5"),
        ("anthropic/claude-opus-4-5", "opus 4.5"),
        ("claude-opus-4-9", "family"),
        ("claude-opus-40", "family"),
        ("claude-new", "family"),
        ("gpt-5-nano", "five"),
        ("gpt-5.5-pro", "five and a half"),
        ("claude", None),
        ("", None),
    ],
)
def test_the_longest_name_that_matches_wins(model: str, found: str | None) -> None:
    assert TABLE.find(model) == found


def test_a_model_of_its_own_outranks_a_family_of_the_same_name() -> None:
    assert ModelTable([("gpt-4*", "family"), ("gpt-4", "own")]).find("gpt-4") == "own"


def test_made_up_ids_do_not_fill_the_memory() -> None:
    table = ModelTable([("m*", 1)])
    for number in range(10_000):
        assert table.find(f"m{number}") == 1
    assert len(table._found) <= 4_096
