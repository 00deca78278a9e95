"""Whether a thread's change to another model pays, with what the caches of both models hold.

The model that a thread leaves holds its prompt warm; the other one has to read it anew, and perhaps to write
it into its cache. That is paid once; what the other model's tokens cost less is saved at every call that
follows. Where the thread comes back, what has come meanwhile is written for the first model after all.
"""

import msgspec

from bursar.domain.prices import Rates
from bursar.domain.usage import TokenClass


class Side(msgspec.Struct, frozen=True, gc=False):
    """A model, as a thread's next calls would meet it.

    Attributes:
        rates: Its rates.
        prompt_tokens: The prompt in its own tokens.
        held_tokens: How many of them its cache holds.
        keeps: Whether what it reads is kept in its cache for the next call.
    """

    rates: Rates
    prompt_tokens: int
    held_tokens: int
    keeps: bool


class Outlook(msgspec.Struct, frozen=True, gc=False):
    """What is expected of a thread.

    Attributes:
        calls: Calls to come, this one included; at least 1.
        tail_tokens: What each adds to the prompt.
        output_tokens: What each answers.
        returns: Whether the thread is likely to come back to where it is now.
    """

    calls: int
    tail_tokens: int
    output_tokens: int
    returns: bool


def change_pays(stay: Side, go: Side, outlook: Outlook) -> bool:
    """Whether a thread's next calls cost less with the other model, the way there and back included."""
    back = outlook.calls * outlook.tail_tokens * _write_rate(stay) if outlook.returns else 0
    return _cost(go, outlook) + back < _cost(stay, outlook)


def _cost(side: Side, outlook: Outlook) -> int:
    """Return what the thread's next calls cost, in millionths of nusd."""
    rates = side.rates
    fresh, output = rates.get(TokenClass.INPUT, 0), rates.get(TokenClass.OUTPUT, 0)
    read = rates.get(TokenClass.CACHE_READ, fresh)
    write = _write_rate(side)
    held = min(side.held_tokens, side.prompt_tokens)
    first = held * read + (side.prompt_tokens - held) * write
    later, tail = outlook.calls - 1, outlook.tail_tokens
    # At the k-th further call, all that stood before is read, and the tail is new.
    before = later * side.prompt_tokens + tail * (later * (later - 1) // 2)
    kept = read if side.keeps else fresh
    return first + before * kept + later * tail * write + outlook.calls * outlook.output_tokens * output


def _write_rate(side: Side) -> int:
    fresh = side.rates.get(TokenClass.INPUT, 0)
    return side.rates.get(TokenClass.CACHE_WRITE_5M, fresh) if side.keeps else fresh
