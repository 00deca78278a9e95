from bursar.domain.bounded import BoundedDict, WeighedDict


def test_a_bounded_dict_forgets_what_was_kept_longest_ago() -> None:
    items: BoundedDict[int, str] = BoundedDict(8)
    for number in range(8):
        items.keep(number, "old")
    items.keep(0, "new")
    items.keep(8, "new")
    assert list(items) == [2, 3, 4, 5, 6, 7, 0, 8]


def test_a_weighed_dict_never_weighs_more_than_it_may() -> None:
    texts: WeighedDict[int, str] = WeighedDict(16, len)
    for number in range(40):
        texts.keep(number, "x" * (number % 7))
        assert sum(map(len, texts.values())) <= 16
    assert 39 in texts


def test_replacing_a_value_replaces_its_weight() -> None:
    texts: WeighedDict[str, str] = WeighedDict(16, len)
    for _ in range(10):
        texts.keep("grows", "x" * 9)
    texts.keep("other", "x" * 7)
    assert list(texts) == ["grows", "other"]


def test_a_value_that_is_too_heavy_by_itself_is_not_kept() -> None:
    texts: WeighedDict[str, str] = WeighedDict(16, len)
    texts.keep("small", "x")
    texts.keep("heavy", "x" * 17)
    assert not texts
    texts.keep("small", "x")
    assert list(texts) == ["small"]


def test_what_is_dropped_weighs_nothing_any_more() -> None:
    texts: WeighedDict[int, str] = WeighedDict(16, len)
    items: BoundedDict[int, str] = BoundedDict(8)
    for number in range(4):
        texts.keep(number, "x" * 4)
        items.keep(number, "x")
    texts.drop(lambda key: key % 2 == 0)
    items.drop(lambda key: key % 2 == 0)
    assert list(texts) == list(items) == [1, 3]
    texts.keep(5, "x" * 8)
    assert list(texts) == [1, 3, 5]
    texts.clear()
    texts.keep(6, "x" * 16)
    assert list(texts) == [6]
