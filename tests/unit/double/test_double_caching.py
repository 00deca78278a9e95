from typing import Any

import pytest
from small_world import NOW_S, anthropic_call, claude, gpt, make_double, openai_call, play, words

MARK = {"cache_control": {"type": "ephemeral"}}


def marked(text: str, **fields: Any) -> dict[str, Any]:
    return claude(system=[{"type": "text", "text": text, **MARK}], **fields)


def test_nothing_can_be_read_before_a_response_begins() -> None:
    double = make_double()
    call = anthropic_call(marked(words(200)))
    first = double.respond(call, NOW_S)
    second = double.respond(call, NOW_S)
    first.begun(NOW_S + 1)
    third = double.respond(call, NOW_S + 1)
    charges = [answer.charge for answer in (first, second, third)]
    assert [charge.usage.cache_write_5m for charge in charges if charge] == [200, 200, 0]
    assert charges[2] is not None
    assert charges[2].usage.cache_read == 200


def test_an_entry_dies_after_its_time_unless_it_is_used() -> None:
    double = make_double()
    call = anthropic_call(marked(words(200)))
    reads = [play(double, call, NOW_S + at_s)[1].usage.cache_read for at_s in (0, 299, 598, 898)]
    assert reads == [0, 200, 200, 0]


def test_accounts_and_models_do_not_share_a_cache() -> None:
    double = make_double()
    body = marked(words(200))
    play(double, anthropic_call(body, **{"x-api-key": "one"}))
    assert play(double, anthropic_call(body, **{"x-api-key": "two"}))[1].usage.cache_read == 0
    assert play(double, anthropic_call(body, **{"x-api-key": "one"}))[1].usage.cache_read == 200


def test_an_eviction_makes_the_call_pay_again() -> None:
    double = make_double(evict_rate=1)
    call = anthropic_call(marked(words(200)))
    assert [play(double, call)[1].usage.cache_write_5m for _ in range(2)] == [200, 200]


def test_a_refused_call_leaves_nothing_in_the_cache() -> None:
    double = make_double()
    play(double, anthropic_call(marked(words(200), max_tokens=-1)))
    assert play(double, anthropic_call(marked(words(200))))[1].usage.cache_read == 0


def test_skewed_counts_still_add_up() -> None:
    double = make_double(token_skew=1.07)
    call = anthropic_call(marked(words(201), messages=[{"role": "user", "content": words(10)}]))
    _, cold = play(double, call)
    _, warm = play(double, call)
    assert cold.usage.cache_write_5m == warm.usage.cache_read == 216  # 201 × 1.07 = 215.07
    assert cold.usage.prompt_tokens == warm.usage.prompt_tokens == 226  # 211 × 1.07 = 225.77


def lines(count: int) -> str:
    """Text of about one token a word, every part of it different."""
    return " ".join(f"n{number:04d}" for number in range(count))


def test_openais_automatic_cache_matches_inside_of_a_block() -> None:
    double = make_double()

    def ask(text: str, **fields: Any) -> int:
        body = gpt(messages=[{"role": "user", "content": text}], **fields)
        answer, _ = play(double, openai_call(body))
        cached: int = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
        return cached

    assert ask(lines(2000)) == 0
    assert ask(lines(2000)) == 2000 // 128 * 128
    shared = ask(lines(1500) + " and then something else entirely " + words(500))
    assert shared % 128 == 0
    # To within a step and a piece of 256 bytes.
    assert 1500 - 128 - 64 <= shared <= 1500
    assert ask(lines(1000)) == 0
    assert ask(lines(2000), prompt_cache_key="another") == 0


def test_openais_automatic_cache_tells_roles_apart() -> None:
    double = make_double()
    for role in ("user", "system"):
        body = gpt(messages=[{"role": role, "content": lines(2000)}, {"role": "user", "content": "Hi"}])
        _, row = play(double, openai_call(body))
        assert row.usage.cache_read == 0


def test_openais_newer_models_bill_what_they_write() -> None:
    double = make_double()
    body = gpt(model="gpt-reasoner", messages=[{"role": "user", "content": words(300)}])
    answer, cold = play(double, openai_call(body))
    assert cold.usage.cache_write_30m == 300
    assert answer["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 300
    assert answer["usage"]["prompt_tokens"] == 300
    answer, warm = play(double, openai_call(body))
    assert warm.usage.cache_read == answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 300


@pytest.mark.parametrize(("mode", "written"), [("implicit", 300), ("explicit", 0)])
def test_explicit_mode_without_breakpoints_writes_nothing(mode: str, written: int) -> None:
    body = gpt(
        model="gpt-reasoner",
        messages=[{"role": "user", "content": words(300)}],
        prompt_cache_options={"mode": mode},
    )
    _, row = play(make_double(), openai_call(body))
    assert row.usage.cache_write_30m == written
