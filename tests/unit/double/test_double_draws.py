from small_world import anthropic_call, claude, make_double, play

from bursar.double.draws import Draws


def test_the_same_bytes_draw_anew_each_time_they_come() -> None:
    draws = Draws(seed=1)
    first, second, other = draws.start(b"a"), draws.start(b"a"), draws.start(b"b")
    assert len({first.root, second.root, other.root}) == 3
    again = Draws(seed=1)
    again.start(b"b")
    assert [again.start(b"a").root, again.start(b"a").root] == [first.root, second.root]
    assert Draws(seed=2).start(b"a").root != first.root


def test_a_rate_is_met_in_the_long_run() -> None:
    draws = Draws(seed=3)
    hits = sum(draws.start(b"%d" % number).happens("error", 0.2) for number in range(5000))
    assert 900 < hits < 1100


def test_rates_of_none_and_all_are_exact() -> None:
    draw = Draws(seed=4).start(b"a")
    assert not draw.happens("error", 0)
    assert draw.happens("error", 1)


def test_failures_do_not_depend_on_the_order_of_calls() -> None:
    def failed(order: list[int]) -> set[int]:
        double = make_double(error_rate=0.3, seed=5)
        return {n for n in order if play(double, anthropic_call(claude(top_k=n)))[1].status != 200}

    forward = failed(list(range(60)))
    assert forward == failed(list(reversed(range(60))))
    assert 5 < len(forward) < 35
