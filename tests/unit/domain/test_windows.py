"""Windows of models, by the API that serves them."""

from bursar.adapters.model_limits import load_windows
from bursar.domain.windows import Window, WindowBook

BOOK = WindowBook([Window("claude-a", "anthropic.messages", 200_000, 64_000)])


def test_a_model_is_found_with_its_dated_releases_and_by_its_own_api_only() -> None:
    found = BOOK.find("anthropic.messages", "claude-a-20260101")
    assert found is not None
    assert found.context_tokens == 200_000
    assert BOOK.find("openai.chat", "claude-a") is None
    assert BOOK.find("anthropic.messages", "claude-b") is None


def test_a_model_that_another_api_serves_is_not_served_here() -> None:
    assert BOOK.may_serve("anthropic.messages", "claude-a")
    assert not BOOK.may_serve("openai.chat", "claude-a")
    assert BOOK.may_serve("openai.chat", "an-operators-own")


def test_the_packages_own_data_has_the_models_of_both_apis() -> None:
    book = load_windows()
    assert book.find("anthropic.messages", "claude-sonnet-4-5") is not None
    assert book.find("openai.chat", "gpt-4o") is not None
