"""Laws of loops: what repeats itself is stopped whatever came before, and nothing else ever is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from bursar.domain.prompt import Block, BlockKind, ContentClass, Piece, Role, digest
from bursar.policy.loops import Loop, LoopOptions, judge
from bursar.view.loop_watch import LoopWatch, Stop
from bursar.view.repetition import PERIODS, START, Row, follow
from bursar.wire.acts import Acts, ToolCall, ToolResult

SHORT, LONG = 2, 500


class Exchange(NamedTuple):
    """One call and its result; None in a conversation's place for one is a word of the user."""

    tool: str
    arguments: str
    result: str
    chars: int = SHORT
    failed: bool = False


Step = Exchange | None

TOOLS = st.sampled_from(["find", "book", "pay"])
FEW = st.sampled_from("ab")
EXCHANGES = st.builds(Exchange, TOOLS, FEW, FEW, st.sampled_from([SHORT, LONG]), st.booleans())
STEPS: st.SearchStrategy[list[Step]] = st.lists(st.one_of(EXCHANGES, EXCHANGES, st.none()), max_size=25)
REPEATS = st.integers(2, 5)


def messages_of(steps: Sequence[Step], first: int = 0) -> list[Acts]:
    """Return what the messages of a conversation hold; ids of calls are never the same."""
    messages: list[Acts] = []
    for number, step in enumerate(steps, first):
        if step is None:
            messages.append(Acts(Role.USER))
            continue
        call = ToolCall(f"call_{number}", step.tool, digest(f"{step.tool}({step.arguments})".encode()))
        result = ToolResult(call.call_id, digest(step.result.encode()), step.chars, step.failed)
        messages += [Acts(Role.ASSISTANT, calls=(call,)), Acts(Role.USER, results=(result,))]
    return messages


def row_after(steps: Sequence[Step], row: Row = START, waiting: frozenset[str] = frozenset()) -> Row:
    for acts in messages_of(steps):
        row = follow(row, acts, waiting)
    return row


def judged(steps: Sequence[Step], options: LoopOptions) -> Loop | None:
    return judge(row_after(steps, waiting=options.waiting), options)


def stops(steps: Sequence[Step], options: LoopOptions) -> bool:
    loop = judged(steps, options)
    return loop is not None and loop.stops


@given(STEPS, REPEATS, st.data())
def test_calls_that_all_differ_in_arguments_and_results_are_never_even_warned_of(
    steps: list[Step], repeats: int, data: st.DataObject
) -> None:
    distinct: list[Step] = [
        None if step is None else step._replace(arguments=f"{number}", result=f"{number}")
        for number, step in enumerate(steps)
    ]
    until = data.draw(st.integers(0, len(distinct)))
    assert judged(distinct[:until], LoopOptions(repeats=repeats)) is None


@given(st.integers(0, 60), TOOLS, REPEATS)
def test_other_arguments_with_the_same_short_word_of_success_are_never_warned_of(
    count: int, tool: str, repeats: int
) -> None:
    steps = [Exchange(tool, f"{number}", "ok") for number in range(count)]
    assert judged(steps, LoopOptions(repeats=repeats)) is None


@given(STEPS, EXCHANGES, REPEATS, st.integers(0, 10))
def test_what_is_repeated_often_enough_is_always_stopped_whatever_came_before(
    before: list[Step], exchange: Exchange, repeats: int, more: int
) -> None:
    assert stops([*before, exchange, *[exchange] * (repeats + more)], LoopOptions(repeats=repeats))


@given(STEPS, st.sampled_from(PERIODS), REPEATS, st.integers(0, 3), st.integers(0, 3))
def test_a_cycle_is_always_stopped_whatever_came_before(
    before: list[Step], period: int, repeats: int, more: int, part: int
) -> None:
    cycle = [Exchange(f"tool_{number}", "a", f"{number}") for number in range(period)]
    steps = [*before, *cycle * (repeats + 1 + more), *cycle[: min(part, period - 1)]]
    assert stops(steps, LoopOptions(repeats=repeats))


@given(STEPS, EXCHANGES, REPEATS)
def test_a_warning_comes_one_repeat_before_a_stop_and_nothing_before_that(
    before: list[Step], exchange: Exchange, repeats: int
) -> None:
    options, begun = LoopOptions(repeats=repeats), [*before, None, exchange]
    for count in range(repeats):
        loop = judged([*begun, *[exchange] * count], options)
        assert (loop is not None) == (count == repeats - 1)
        assert loop is None or not loop.stops


@given(st.lists(st.tuples(EXCHANGES, st.integers(1, 5)), max_size=8), REPEATS)
def test_a_word_of_the_user_between_keeps_rows_that_are_too_short_from_adding_up(
    rows: list[tuple[Exchange, int]], repeats: int
) -> None:
    # A row of so many has repeated itself less often than it takes for a warning.
    steps: list[Step] = []
    for exchange, length in rows:
        steps += [*[exchange] * min(length, repeats - 1), None]
    for until in range(len(steps) + 1):
        assert judged(steps[:until], LoopOptions(repeats=repeats)) is None


@given(STEPS)
def test_how_often_a_row_came_again_is_what_counting_it_says(steps: list[Step]) -> None:
    row = row_after(steps)
    last_word = max((number for number, step in enumerate(steps) if step is None), default=-1)
    names = [step and (step.tool, step.arguments, step.result) for step in steps[last_word + 1 :]]
    for period, run in zip(PERIODS, row.runs, strict=True):
        counted = 0
        while counted + period < len(names) and names[-1 - counted] == names[-1 - counted - period]:
            counted += 1
        assert run == counted


@given(STEPS, EXCHANGES, REPEATS, st.integers(5, 20))
def test_nothing_is_stopped_where_it_is_not_to_be_and_nothing_said_where_it_is_off(
    before: list[Step], exchange: Exchange, repeats: int, count: int
) -> None:
    steps = [*before, *[exchange] * (count + 1)]
    warned = judged(steps, LoopOptions("warn", repeats))
    assert warned is not None
    assert not warned.stops
    assert judged(steps, LoopOptions("off", repeats)) is None
    assert judged(steps, LoopOptions(repeats=repeats, waiting=frozenset({exchange.tool}))) is None


# What follows is of the memory of many conversations.


class Conversation:
    """One that grows message by message, as a thread's memory has it: what is known are the same objects."""

    def __init__(self, name: int, steps: Sequence[Step]) -> None:
        self.thread = f"thread {name}".encode()
        self.tenant = f"tenant {name}"
        self.acts = messages_of(steps, 1000 * name)
        self.pieces = tuple([_piece(acts, f"{name}/{n}") for n, acts in enumerate(self.acts)])

    def row(self) -> Row:
        row = START
        for acts in self.acts:
            row = follow(row, acts)
        return row

    def be_followed(self, watch: LoopWatch, until: int | None = None) -> Row:
        messages = self.pieces[:until]
        return watch.follow(self.thread, self.tenant, messages, self.acts.__getitem__, frozenset())


def _piece(acts: Acts, name: str) -> Piece:
    kind = BlockKind.TOOL_CALL if acts.calls else BlockKind.TOOL_RESULT if acts.results else BlockKind.TEXT
    return Piece(acts.role, (Block(kind, ContentClass.CHAT, digest(name.encode()), 1),))


@given(STEPS, st.lists(st.integers(0, 60), max_size=6))
def test_a_conversation_is_read_the_same_by_turns_and_at_once_and_after_going_back(
    steps: list[Step], turns: list[int]
) -> None:
    conversation, watch = Conversation(0, steps), LoopWatch()
    for until in turns:
        whole = conversation.be_followed(LoopWatch(), until)
        assert conversation.be_followed(watch, until) == whole
    assert conversation.be_followed(watch) == conversation.row()


@given(st.lists(STEPS, min_size=2, max_size=5), st.integers(60, 400), st.data())
def test_what_other_conversations_do_in_between_changes_nothing_even_where_little_is_remembered(
    all_steps: list[list[Step]], pieces_max: int, data: st.DataObject
) -> None:
    conversations = [Conversation(name, steps) for name, steps in enumerate(all_steps)]
    watch: Any = LoopWatch(pieces_max=pieces_max)
    for one in data.draw(st.lists(st.sampled_from(conversations), max_size=12)):
        one.be_followed(watch, data.draw(st.integers(0, len(one.pieces))))
        assert watch._threads._weight <= pieces_max
    for one in data.draw(st.permutations(conversations)):
        assert one.be_followed(watch) == one.row()


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60), st.integers(1, 10))
def test_no_more_stops_are_remembered_than_may_be(named: list[tuple[int, bool]], stops_max: int) -> None:
    watch: Any = LoopWatch(stops_max=stops_max)
    for number, is_resumed in named:
        stop = Stop("acme", f"c{number}", b"m", "it loops", 0.0, is_resumed)
        if is_resumed:
            watch.replace_stops([stop])
        else:
            watch.stop(stop)
        assert len(watch._stops) <= stops_max
        assert len(watch.unsaved) <= stops_max
        # Whoever was stopped last is; whoever may go on, and was not stopped since, is not.
        assert is_resumed or watch.stopped("acme", f"c{number}") == stop
