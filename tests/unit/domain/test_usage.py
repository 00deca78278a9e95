import pytest

from bursar.domain.usage import PROMPT_CLASSES, TokenClass, Usage
from bursar.errors import BadUsage


def test_every_class_is_in_the_prompt_or_in_the_output():
    usage = Usage(**{token_class.value: 10**n for n, token_class in enumerate(TokenClass)})
    assert usage.prompt_tokens == 111_111
    assert usage.output_tokens == 11_000_000
    assert usage.prompt_tokens == sum(usage.of(token_class) for token_class in PROMPT_CLASSES)


@pytest.mark.parametrize("name", [*(c.value for c in TokenClass), "web_search", "web_fetch"])
def test_a_negative_count_is_refused_by_name(name):
    with pytest.raises(BadUsage, match=rf"negative count of {name} in"):
        Usage(**{name: -1})


def test_only_classes_that_were_used_are_listed_in_the_order_of_the_classes():
    usage = Usage(output=3, input=1, reasoning=2)
    assert list(usage.tokens().items()) == [("input", 1), ("output", 3), ("reasoning", 2)]


def test_server_tools_are_no_tokens():
    assert Usage(web_search=2).tokens() == {}
