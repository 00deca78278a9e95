from bursar.adapters.ids import TimeOrderedIds
from scripted_world import ManualClock


def test_ids_are_unique_within_and_across_processes() -> None:
    clock = ManualClock()
    one, other = TimeOrderedIds(clock), TimeOrderedIds(clock)
    made = [ids.new() for ids in (one, other) for _ in range(1000)]
    assert len(set(made)) == 2000


def test_ids_sort_by_the_time_at_which_they_were_given() -> None:
    clock = ManualClock()
    ids = TimeOrderedIds(clock)
    made: list[str] = []
    for _ in range(20):
        made.append(ids.new())
        clock.time_s += 0.001
    assert made == sorted(made)


def test_an_id_fits_a_header() -> None:
    made = TimeOrderedIds(ManualClock()).new()
    assert made.startswith("op-")
    assert made.isascii()
    assert len(made) < 50
