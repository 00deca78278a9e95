"""Whether a lane is to be left alone for a while: a circuit breaker.

It opens after some failures in a row, and at once where a provider says for how long. Once its pause is over
it is half open: one call at a time may try, and what comes of that closes it, or opens it for twice as long.
"""

from enum import StrEnum

import msgspec

# So many failures in a row open it.
FAILURES_MAX = 3

_PAUSE_S = 5.0
_PAUSE_MAX_S = 300.0
# A key that was refused stays refused until somebody mends it.
_SHUT_S = 60.0
_SHUT_MAX_S = 3_600.0
# Nobody is believed who wants to be left alone for longer.
_REST_MAX_S = 3_600.0
# How long a call that may try has until it is sent,
_CLAIM_S = 60.0
# and how long it may take then. Whose end is never told is forgotten after that.
_PROBE_S = 1_800.0

_NEVER_S = float("-inf")


class LaneState(StrEnum):
    """How a lane is doing.

    Values:
        CLOSED: It is well, or nothing else is known.
        OPEN: It is left alone.
        HALF_OPEN: One call at a time may try.
        SHUT: As `OPEN`, since it refused the operator's key.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    SHUT = "shut"


class Breaker(msgspec.Struct, gc=False):
    """What is known of the failures of one model on one lane. Mutable.

    Attributes:
        failures: How many there were in a row.
        openings: How often it opened in a row; 0 while it is closed.
        changed_at_s: When it last opened: what was sent before has no news to bring.
        until_s: Until when it is open.
        limited_at_s: When a rate limit was last told.
        rests_until_s: Until when the provider wants to be left alone.
        probe_until_s: Until when nobody else may try.
        is_key_refused: Whether it is open because of a refused key.
    """

    failures: int = 0
    openings: int = 0
    changed_at_s: float = _NEVER_S
    until_s: float = _NEVER_S
    limited_at_s: float = _NEVER_S
    rests_until_s: float = _NEVER_S
    probe_until_s: float = _NEVER_S
    is_key_refused: bool = False

    def state(self, now_s: float) -> LaneState:
        """Return how it stands."""
        if self.openings and now_s < self.until_s:
            return LaneState.SHUT if self.is_key_refused else LaneState.OPEN
        if now_s < self.rests_until_s:
            return LaneState.OPEN
        return LaneState.HALF_OPEN if self.openings else LaneState.CLOSED

    def opens_at_s(self) -> float:
        """Return when a call may try again."""
        return max(self.until_s, self.rests_until_s)

    def claim(self, now_s: float) -> None:
        """Let a call try where it is half open; nobody else may for a while."""
        self.probe_until_s = now_s + _CLAIM_S

    def sent(self, now_s: float) -> None:
        """Take note that a call is sent: where it is half open, nobody else may try until that has ended."""
        if self.state(now_s) is LaneState.HALF_OPEN:
            self.probe_until_s = now_s + _PROBE_S

    def rest(self, seconds: float, now_s: float) -> None:
        """Leave it alone for as long as its provider says."""
        self.rests_until_s = max(self.rests_until_s, now_s + min(seconds, _REST_MAX_S))

    def failed(self, sent_at_s: float, now_s: float, *, is_limit: bool) -> None:
        """Count a failure.

        Args:
            sent_at_s: When the attempt was sent.
            now_s: The time.
            is_limit: Whether it is a rate limit. Those that meet one together are one failure.
        """
        if sent_at_s < self.changed_at_s:
            return
        if is_limit:
            if sent_at_s < self.limited_at_s:
                return
            self.limited_at_s = now_s
        self.failures += 1
        if self.openings or self.failures >= FAILURES_MAX:
            self._open(_PAUSE_S, _PAUSE_MAX_S, now_s)

    def refused_key(self, sent_at_s: float, now_s: float) -> None:
        """Take note that the operator's key was refused."""
        if sent_at_s < self.changed_at_s:
            return
        self._open(_SHUT_S, _SHUT_MAX_S, now_s)
        self.is_key_refused = True

    def succeeded(self, sent_at_s: float) -> None:
        """Take note that an attempt succeeded. Long answers to what was sent before it opened say nothing."""
        if sent_at_s < self.changed_at_s:
            return
        self.failures = self.openings = 0
        self.until_s = self.probe_until_s = _NEVER_S
        self.is_key_refused = False

    def gave_up(self, sent_at_s: float) -> None:
        """Take note that an attempt ended, or was never sent, and says nothing: another one may try."""
        if sent_at_s >= self.changed_at_s:
            self.probe_until_s = _NEVER_S

    def _open(self, pause_s: float, pause_max_s: float, now_s: float) -> None:
        doubled_s = pause_s * 2 ** min(self.openings, 16)
        self.openings += 1
        self.changed_at_s = now_s
        self.until_s = now_s + min(doubled_s, pause_max_s)
        self.probe_until_s = _NEVER_S
