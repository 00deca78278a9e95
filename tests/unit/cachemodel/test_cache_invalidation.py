"""What a change to a request leaves of its cached prefix, by anthropics/skills' table (July 2026)."""

import pytest
from hand_made import FIVE, Settings, laid_out

from bursar.cachemodel.provider import ProviderCache
from cache_rules import ANTHROPIC

BASE = Settings(messages=("hello", "hi", "book it"))
# 1,000 tokens a block: two tools, one system text, three messages.
TOOLS, SYSTEM, MESSAGES = 2000, 3000, 6000
MARKS = {1: FIVE, 2: FIVE, 5: FIVE}


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        (BASE, MESSAGES),
        (Settings(tools=("search", "book", "cancel"), messages=BASE.messages), 0),
        (Settings(tools=("search",), messages=BASE.messages), 0),
        (Settings(tools=("book", "search"), messages=BASE.messages), 0),
        (Settings(model="other", messages=BASE.messages), 0),
        (Settings(system_salt=b"speed", messages=BASE.messages), TOOLS),
        (Settings(system="another policy", messages=BASE.messages), TOOLS),
        (Settings(messages_salt=b"tool_choice", messages=BASE.messages), SYSTEM),
        (Settings(messages=("hello there", "hi", "book it")), SYSTEM),
        (Settings(messages=("hello", "hi", "cancel it")), SYSTEM),
    ],
    ids=[
        "nothing",
        "tool added",
        "tool removed",
        "tools reordered",
        "model switched",
        "speed, web search or citations",
        "system text",
        "tool choice, images or thinking",
        "first message",
        "last message",
    ],
)
def test_a_change_leaves_what_the_provider_says(changed: Settings, read: int) -> None:
    cache = ProviderCache()
    first = laid_out(BASE)
    cache.keep(first, cache.look(first, MARKS, ANTHROPIC, 0), ANTHROPIC, 0)
    second = laid_out(changed)
    marks = {second.tools_end - 1: FIVE, second.system_end - 1: FIVE, len(second.chain) - 1: FIVE}
    assert cache.look(second, marks, ANTHROPIC, 1).read_tokens == read


def test_a_text_that_moves_from_system_to_messages_does_not_match_itself() -> None:
    one = laid_out(Settings(system="same", messages=("rest",)))
    other = laid_out(Settings(system="else", messages=("same", "rest")))
    assert not set(one.chain[2:]) & set(other.chain[2:])
