from dataclasses import dataclass

from bursar.domain.layout import Layout, lay_out
from bursar.domain.prompt import Block, BlockKind, ContentClass, Piece, Place, Prompt, Role, Section, digest
from bursar.domain.tokens import Basis, TokenRatios
from bursar.view.prompt_differences import Sight, compare_prompts
from bursar.view.text_differences import Cause

RATIOS = TokenRatios("o200k", dict.fromkeys(ContentClass, 1000), Basis.EXACT)
LONG = " ".join(f"Clause {n}, and no other." for n in range(40))


@dataclass
class Written:
    """A prompt's texts; a tool's name is its text's first word."""

    tools: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    messages: tuple[str, ...] = ("Hello",)
    setting: bytes = b""

    def text(self, place: Place) -> str:
        sections = {"tools": self.tools, "system": self.system, "messages": self.messages}
        return sections[place.section.value][place.piece]

    def tool_name(self, tool: int) -> str:
        return self.tools[tool].split()[0]

    def layout(self) -> Layout:
        prompt = Prompt(
            tools=pieces(self.tools),
            system=pieces(self.system),
            messages=pieces(self.messages),
            messages_salt=self.setting,
        )
        return lay_out(prompt, scope=b"", ratios=RATIOS)


def pieces(texts: tuple[str, ...]) -> tuple[Piece, ...]:
    """Give every text as many tokens as it has characters."""
    return tuple(
        Piece(
            Role.USER,
            (Block(BlockKind.TEXT, ContentClass.CHAT, digest(text.encode()), base_tokens=len(text)),),
        )
        for text in texts
    )


def compare(old: Written, new: Written, *, one_thread: bool = True):
    return compare_prompts(Sight(old.layout(), old), Sight(new.layout(), new), one_thread=one_thread)


def test_a_prompt_that_goes_on_shares_all_of_the_earlier_one() -> None:
    found = compare(
        Written(system=("be good",), messages=("a",)), Written(system=("be good",), messages=("a", "b"))
    )
    assert (found.prefix_tokens, found.shared_tokens, found.difference) == (8, 8, None)


def test_what_is_alike_behind_a_difference_is_shared() -> None:
    old = Written(system=("at 10:00. " + LONG,), messages=("hello there",))
    new = Written(system=("at 10:01. " + LONG,), messages=("hello there", "again"))
    found = compare(old, new)
    assert found.prefix_tokens == 0
    # All but the minute; the history, too, since it is one thread.
    assert found.shared_tokens == len("at 10:0. " + LONG) + len("hello there")
    assert found.difference is not None
    assert (found.difference.section, found.difference.cause) == (Section.SYSTEM, Cause.CLOCK)
    assert found.difference.place == Place(Section.SYSTEM, 0, 0)


def test_of_two_threads_messages_alike_count_up_to_the_first_that_differs() -> None:
    old = Written(system=("be good",), messages=("hi", "same answer", "old"))
    new = Written(system=("be good",), messages=("ho", "same answer", "new"))
    assert compare(old, new, one_thread=False).shared_tokens == len("be good") + 1
    assert compare(old, new, one_thread=True).shared_tokens == len("be good") + 1 + len("same answer")


def test_tools_in_another_order_share_everything_and_no_prefix() -> None:
    found = compare(Written(tools=("add x", "sub y")), Written(tools=("sub y", "add x")))
    assert (found.prefix_tokens, found.shared_tokens) == (0, len("add xsub yHello"))
    assert found.difference is not None
    assert (found.difference.cause, found.difference.before, found.difference.after) == (
        Cause.ORDER,
        "add",
        "sub",
    )


def test_a_tool_is_compared_with_the_one_of_its_name() -> None:
    found = compare(Written(tools=("add " + LONG, "sub y")), Written(tools=("sub y2", "add " + LONG + "!")))
    assert found.shared_tokens == len("sub y") + len("add " + LONG) + len("Hello")


def test_a_tool_that_is_gone_is_a_matter_of_the_set() -> None:
    for old, new in (("add x", "sub y"), ("add x",)), (("sub y",), ("add x", "sub y")):
        found = compare(Written(tools=old), Written(tools=new))
        assert found.difference is not None
        assert found.difference.cause is Cause.SET


def test_a_setting_comes_before_the_messages_that_it_keeps_apart() -> None:
    found = compare(Written(system=("s",), setting=b"thinking=1;"), Written(system=("s",), setting=b""))
    assert (found.prefix_tokens, found.shared_tokens) == (1, 6)
    assert found.difference is not None
    assert (found.difference.cause, found.difference.before, found.difference.place) == (
        Cause.SETTING,
        "thinking=1",
        None,
    )


def test_a_history_that_was_cut_or_put_into_is_told_apart() -> None:
    whole = ("first", "second", "third", "fourth")
    for messages, cause in ((("third", "fourth"), Cause.CUT), (("note", *whole), Cause.INSERTED)):
        found = compare(Written(messages=whole), Written(messages=messages))
        assert found.difference is not None
        assert found.difference.cause is cause


def test_texts_with_less_than_half_in_common_are_not_alike() -> None:
    found = compare(Written(system=("abc " + "x" * 100,)), Written(system=("abc " + "y" * 100,)))
    assert found.shared_tokens == len("Hello")
