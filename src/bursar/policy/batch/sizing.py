"""How many items go into one call, and how much its answer may take.

The more items share a call, the less of the instruction each one pays; but a long list is answered less
carefully, and an answer that does not fit its output limit is paid for in part and asked again. So calls
begin small, grow by half while all is well, and shrink to half where more than a tenth of the items has to be
asked again or an answer was cut.
"""

from dataclasses import dataclass
from math import ceil

_FIRST_SIZE = 10
_LARGEST_SIZE = 50
_CALM_CALLS = 2
_FAULTY_SHARE_MAX = 0.1

# An answer's frame, and its first guess: what an answer is known to take replaces it.
_FRAME_TOKENS = 64
_FIRST_ANSWER_TOKENS = 256
_SPARE = 1.5


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """What bounds a call.

    Attributes:
        fixed: Items of a call, where the caller chose; None to find out.
        output_tokens_max: The longest answer that the model gives.
        items_bytes_max: The longest text of all items of a call: no tokenizer makes more tokens of it.
        reasoning_tokens: What the model may use up before it writes.
    """

    fixed: int | None
    output_tokens_max: int
    items_bytes_max: int
    reasoning_tokens: int = 0


class Sizing:
    """Learns from one call to the next.

    Args:
        limits: What bounds every call.
    """

    def __init__(self, limits: SizeLimits) -> None:
        self._limits = limits
        self._size = limits.fixed or _FIRST_SIZE
        self._answer_tokens = _FIRST_ANSWER_TOKENS
        self._calm = 0

    @property
    def size(self) -> int:
        """How many items the next call may have, at least one."""
        room = self._limits.output_tokens_max - self._limits.reasoning_tokens - _FRAME_TOKENS
        return max(1, min(self._size, room // self._answer_tokens))

    @property
    def items_bytes_max(self) -> int:
        """How long the next call's items may be together, unless it is one alone."""
        return self._limits.items_bytes_max

    def tokens_max(self, count: int) -> int:
        """Return the output limit of a call of so many items: it costs nothing until it is used."""
        needed = _FRAME_TOKENS + count * self._answer_tokens + self._limits.reasoning_tokens
        return min(needed, self._limits.output_tokens_max)

    def learn(self, asked: int, faulty: int, output_tokens: int | None, *, is_cut: bool) -> None:
        """Learn how a call went.

        Args:
            asked: Its items.
            faulty: Those that have to be asked again.
            output_tokens: What its answer took, without reasoning; None where that is unknown.
            is_cut: Whether it reached its output limit.
        """
        if is_cut:
            self._answer_tokens = min(2 * self._answer_tokens, self._limits.output_tokens_max)
            self._shrink()
            return
        if output_tokens is not None:
            taken = ceil(_SPARE * output_tokens / asked)
            # It falls slowly: the next items' answers may be longer than these.
            self._answer_tokens = max(taken, self._answer_tokens * 3 // 4, _FRAME_TOKENS)
        if faulty > _FAULTY_SHARE_MAX * asked:
            self._shrink()
        elif faulty == 0 and asked >= self._size:
            self._calm += 1
            if self._calm >= _CALM_CALLS and self._limits.fixed is None:
                self._size = min(_LARGEST_SIZE, self._size + ceil(self._size / 2))
                self._calm = 0

    def _shrink(self) -> None:
        self._calm = 0
        if self._limits.fixed is None:
            self._size = max(1, self._size // 2)
