import pytest

from bursar.wire.holding import EventHold, Verdict, single_line_data
from bursar.wire.sse import EventSplitter, end_event, read_event


def split(*chunks: bytes) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events, splitter.pending


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_events_end_at_blank_lines(end: bytes) -> None:
    first = b"event: a" + end + b"data: 1" + end * 2
    second = b"data: 2" + end * 2
    assert split(first + second + b"data: 3") == ([first, second], b"data: 3")


def test_a_lone_cr_ends_lines_and_the_last_waits_for_what_follows() -> None:
    assert split(b"data: 1\r\rdata: 2\r\r") == ([b"data: 1\r\r"], b"data: 2\r\r")
    assert split(b"data: 1\r\r", b"\ndata: 2\n\n") == ([b"data: 1\r\r\n", b"data: 2\n\n"], b"")


def test_line_ends_may_be_mixed() -> None:
    assert split(b"a: 1\r\n\ndata: 2\n\r\n") == ([b"a: 1\r\n\n", b"data: 2\n\r\n"], b"")


def test_a_huge_event_in_many_chunks_is_one_event() -> None:
    chunks = [b"data: ", *[b"x" * 1_000] * 500, b"\n", b"\n"]
    events, pending = split(*chunks)
    assert events == [b"".join(chunks)]
    assert pending == b""


def test_data_lines_are_joined_and_comments_are_not_data() -> None:
    assert read_event(b": ping\nevent: note\ndata: one\ndata:two\nid: 7\n\n") == ("note", b"one\ntwo")
    assert read_event(b": ping\n\n") == ("", b"")


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    assert read_event(b"\xef\xbb\xbfdata: 1\n\n") == ("", b"1")


def test_one_line_of_data_is_read_the_same_either_way() -> None:
    for event in (b"data: {}\n\n", b"data:{}\n\n", b"data: {}\r\n\r\n", b": hi\ndata: {}\n\n"):
        assert single_line_data(event) == read_event(event)[1] == b"{}"


def test_an_unfinished_event_is_closed_once() -> None:
    assert end_event(b"data: 1") == end_event(b"data: 1\n") == end_event(b"data: 1\r\n") == b"data: 1\n\n"


def hold(*, end: bytes = b"end") -> EventHold:
    def see(event: bytes) -> Verdict:
        data = read_event(event)[1]
        return Verdict.HOLD if data == end else Verdict.DROP if data == b"drop" else Verdict.PASS

    return EventHold(see, lambda data: data == end)


def test_what_follows_the_terminal_event_is_held_back_with_it() -> None:
    stream = hold()
    assert stream.feed(b"data: 1\n\ndata: drop\n\ndata: end\n\n: bye\n\n") == b"data: 1\n\n"
    assert stream.feed(b": more\n\nda") == b""
    assert stream.holds
    assert stream.rest() == b"data: end\n\n: bye\n\n: more\n\nda"


def test_a_terminal_event_counts_without_its_blank_line() -> None:
    stream = hold()
    assert stream.feed(b"data: 1\n\ndata: end") == b"data: 1\n\n"
    assert stream.ends_unclosed
    assert stream.rest() == b"data: end\n\n"


def test_after_a_cut_the_unfinished_event_is_dropped() -> None:
    stream = hold()
    stream.feed(b"data: 1\n\ndata: 2")
    assert not stream.holds
    assert not stream.ends_unclosed
    assert stream.rest() == b""
