"""Which lines of instructions move behind the prompt, and what becomes of the rest."""

from bursar.policy.stable_prefix import NOTE, Parting, add_changed, choose_lines, part
from bursar.view.volatile_lines import Line, Lines, Seen, find_lines
from bursar.wire.system_texts import SystemText

RULES = "Be kind to whoever asks.\n" * 60
CLOCK = "It is 12:03.\n"
NOTHING: frozenset[bytes] = frozenset()


def texts_of(*texts: str, marked: int | None = None) -> list[SystemText]:
    return [SystemText((n, 0), text, n == marked) for n, text in enumerate(texts)]


def lines_of(*texts: str) -> Lines:
    return find_lines([((n, 0), text) for n, text in enumerate(texts)])


def seen_as(lines: Lines, *, varies: bool = True, within: bool = False) -> dict[bytes, Seen]:
    return {line.name: Seen(line.value, varies, within) for line in lines}


def names(lines: tuple[Line, ...]) -> frozenset[bytes]:
    return frozenset(line.name for line in lines)


def test_a_line_that_never_varied_stays() -> None:
    lines = lines_of(CLOCK + RULES)
    assert choose_lines(lines, seen_as(lines, varies=False)) == NOTHING


def test_a_line_with_much_behind_it_moves() -> None:
    lines = lines_of(CLOCK + RULES)
    assert choose_lines(lines, seen_as(lines)) == names(lines)


def test_a_line_that_differs_between_threads_stays_at_the_end() -> None:
    lines = lines_of(RULES + CLOCK + "Be kind.")
    assert choose_lines(lines, seen_as(lines)) == NOTHING


def test_a_line_that_changes_within_a_thread_moves_from_the_end_too() -> None:
    lines = lines_of(RULES + CLOCK)
    assert choose_lines(lines, seen_as(lines, within=True)) == names(lines)


def test_nothing_moves_from_behind_a_line_that_varies_and_cannot_move() -> None:
    lines = lines_of(f"Case 1.\n| 12:03 |\nCase 2.\n{RULES}")
    assert choose_lines(lines, seen_as(lines)) == names(lines[:1])
    assert add_changed(NOTHING, lines, names(lines)) == names(lines[:1])


def test_what_changed_within_a_thread_is_added_to_what_had_moved() -> None:
    lines = lines_of(f"Case 1.\nIt is 12:03.\n{RULES}")
    moved = names(lines[:1])
    assert add_changed(moved, lines, names(lines[1:])) == names(lines)
    assert add_changed(moved, lines, moved) == moved


def test_lines_are_taken_out_whole_and_in_order() -> None:
    text = f"You help.\nIt is 12:03.\nBe kind.\nCase 7.\n{RULES}"
    lines = lines_of(text)
    parting = part(texts_of(text), lines, names(lines))
    assert parting == Parting({(0, 0): f"You help.\nBe kind.\n{RULES}"}, f"{NOTE}\nIt is 12:03.\nCase 7.")


def test_a_text_of_which_nothing_remains_is_left_out() -> None:
    parting = part(texts_of(RULES, CLOCK), lines_of(RULES, CLOCK), names(lines_of(RULES, CLOCK)))
    assert parting == Parting({(1, 0): ""}, f"{NOTE}\nIt is 12:03.")


def test_a_marked_text_of_which_nothing_would_remain_stays() -> None:
    lines = lines_of(RULES, CLOCK)
    assert part(texts_of(RULES, CLOCK, marked=1), lines, names(lines)) is None


def test_a_marked_text_of_which_something_remains_loses_its_line() -> None:
    lines = lines_of(RULES + CLOCK)
    parting = part(texts_of(RULES + CLOCK, marked=0), lines, names(lines))
    assert parting is not None
    assert parting.texts == {(0, 0): RULES}


def test_instructions_of_which_nothing_would_remain_stay() -> None:
    lines = lines_of(CLOCK, "\n")
    assert part(texts_of(CLOCK, "\n"), lines, names(lines)) is None


def test_nothing_is_done_where_no_line_is_to_move() -> None:
    lines = lines_of(CLOCK + RULES)
    assert part(texts_of(CLOCK + RULES), lines, NOTHING) is None
