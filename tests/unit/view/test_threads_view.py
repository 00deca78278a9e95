from typing import Any

import pytest

from bursar.domain.attribution import Attribution
from bursar.domain.prompt import Block, BlockKind, ContentClass, Piece, Role, digest
from bursar.view.threads import ThreadCall, ThreadIndex

NAMED = Attribution(tenant="acme", conversation="c1")
UNNAMED = Attribution(tenant="acme")


def user(text: str) -> Piece:
    return Piece(Role.USER, (Block(BlockKind.TEXT, ContentClass.CHAT, digest(text.encode()), 1),))


def assistant(text: str) -> Piece:
    block = Block(BlockKind.TEXT, ContentClass.ASSISTANT, digest(b"a" + text.encode()), 1)
    return Piece(Role.ASSISTANT, (block,), echo=digest(text.encode()))


class Talk:
    """A client that re-sends its history."""

    def __init__(self, index: ThreadIndex, who: Attribution, *opening: str) -> None:
        self.index = index
        self.who = who
        self.history: list[Piece] = [user(text) for text in opening]
        self.number = 0

    def call(self, *, at_s: float = 0.0, answer: str | None = "ok", messages: Any = None) -> ThreadCall:
        self.number += 1
        sent = tuple(self.history if messages is None else messages)
        made = self.index.join(self.who, sent, operation_id=f"{id(self):x}-{self.number}", at_s=at_s)
        if answer is not None:
            said = f"{answer} {self.number}"
            self.index.answered(made, digest(said.encode()))
            if messages is None:
                self.history.append(assistant(said))
        return made

    def say(self, text: str) -> None:
        self.history.append(user(text))


@pytest.fixture
def index() -> ThreadIndex:
    return ThreadIndex()


@pytest.mark.parametrize("who", [NAMED, UNNAMED])
def test_calls_that_extend_one_history_are_one_thread(index: ThreadIndex, who: Attribution) -> None:
    talk = Talk(index, who, "Hi")
    made: list[ThreadCall] = []
    for turn in range(12):
        made.append(talk.call(at_s=float(turn)))
        talk.say(f"and {turn}?")
    assert [call.turn for call in made] == list(range(12))
    assert len({call.thread.thread_id for call in made}) == 1
    assert [call.previous_at_s for call in made] == [None, *(float(t) for t in range(11))]
    assert made[0].thread.conversation == (who.conversation or made[0].thread.thread_id)


def test_a_client_that_rewrites_answers_is_recognised_by_its_own_messages(index: ThreadIndex) -> None:
    history = [user("Hi")]
    made: list[ThreadCall] = []
    for turn in range(5):
        call = index.join(UNNAMED, tuple(history), operation_id=f"op-{turn}", at_s=float(turn))
        index.answered(call, digest(f"answer {turn}".encode()))
        made.append(call)
        history += [assistant(f"answer {turn}, trimmed"), user(f"and {turn}?")]
    # The first call's history holds no answer yet, so the second cannot be told from another's.
    assert len({call.thread.thread_id for call in made[1:]}) == 1
    assert [call.turn for call in made[1:]] == [0, 1, 2, 3]


def test_two_people_who_both_open_with_hi_are_two_conversations(index: ThreadIndex) -> None:
    one, other = Talk(index, UNNAMED, "Hi"), Talk(index, UNNAMED, "Hi")
    first, second = one.call(answer="yes"), other.call(answer="no")
    assert first.thread is not second.thread
    one.say("go on")
    other.say("go on")
    # Told apart by what was answered.
    assert one.call().thread is first.thread
    assert other.call().thread is second.thread


def test_a_named_conversation_may_hold_several_threads(index: ThreadIndex) -> None:
    triage, specialist = Talk(index, NAMED, "classify this"), Talk(index, NAMED, "solve this")
    first, second = triage.call(), specialist.call()
    assert first.thread is not second.thread
    assert first.thread.conversation == second.thread.conversation == "c1"


@pytest.mark.parametrize("who", [NAMED, UNNAMED])
def test_somebody_who_goes_back_begins_a_branch_of_the_same_conversation(
    index: ThreadIndex, who: Attribution
) -> None:
    talk = Talk(index, who, "Hi")
    first = talk.call()
    early = list(talk.history)
    for turn in range(3):
        talk.say(f"and {turn}?")
        talk.call()
    branch = talk.call(messages=[*early, user("no, otherwise")])
    assert branch.thread is not first.thread
    assert branch.turn == 1
    assert branch.thread.conversation == first.thread.conversation
    talk.say("back to the main thread")
    assert talk.call().thread is first.thread


def test_a_retry_is_no_turn_of_its_own(index: ThreadIndex) -> None:
    talk = Talk(index, NAMED, "Hi")
    first = talk.call(answer=None)
    again = talk.call(answer=None)
    assert (again.thread, again.turn) == (first.thread, 0)
    talk.call()
    talk.say("more")
    assert talk.call(answer=None).turn == 1
    assert talk.call(answer=None).turn == 1
    assert first.thread.calls == 2


@pytest.mark.parametrize(
    "stranger",
    [
        Attribution(tenant="other", conversation="c1"),
        Attribution(tenant="acme", agent="other", conversation="c1"),
        Attribution(tenant="acme", conversation="c2"),
        Attribution(tenant="other"),
    ],
)
def test_threads_never_cross_tenants_agents_or_conversations(
    index: ThreadIndex, stranger: Attribution
) -> None:
    talk = Talk(index, NAMED, "Hi")
    mine = talk.call()
    talk.say("more")
    theirs = index.join(stranger, tuple(talk.history), operation_id="theirs", at_s=0.0)
    assert theirs.thread is not mine.thread
    assert theirs.turn == 0


def test_an_answer_written_back_in_other_words_of_json_is_recognised_by_its_echo(index: ThreadIndex) -> None:
    talk = Talk(index, UNNAMED, "Hi")
    first = talk.call()
    answer = talk.history[-1]
    other_blocks = Piece(Role.ASSISTANT, answer.blocks * 2, echo=answer.echo)
    talk.history[-1] = other_blocks
    talk.say("more")
    assert talk.call().thread is first.thread


def test_memory_is_bounded_and_forgetting_costs_a_thread_only() -> None:
    index = ThreadIndex(links_max=64)
    talk = Talk(index, UNNAMED, "Hi")
    first = talk.call()
    for number in range(500):
        Talk(index, UNNAMED, f"Hello {number}").call()
    assert len(index._reached) <= 64
    talk.say("more")
    late = talk.call()
    assert late.thread is not first.thread
    assert late.turn == 0


def test_long_histories_are_bounded_together() -> None:
    index = ThreadIndex(links_max=200)
    for number in range(20):
        talk = Talk(index, UNNAMED, f"Hello {number}")
        for turn in range(30):
            talk.call()
            talk.say(f"and {turn}?")
    assert sum(len(trail.links) for trail in index._trails.values()) <= 200
