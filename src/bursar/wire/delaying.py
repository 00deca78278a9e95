"""Holding a stream's start back, so that another model can still be asked in its place."""

from bursar.wire.dialect import StreamMeter
from bursar.wire.replaying import RecordingMeter


class DelayingMeter(RecordingMeter):
    """A `StreamMeter` that passes nothing on until a stream has become so long that it is trusted.

    Args:
        meter: Does the metering.
        recorded_bytes_max: How much of the stream is kept (`RecordingMeter`).
        held_bytes_max: How much of it is held back; from then on, all is passed on as it comes.
    """

    def __init__(self, meter: StreamMeter, recorded_bytes_max: int, held_bytes_max: int) -> None:
        super().__init__(meter, max(recorded_bytes_max, held_bytes_max))
        self._held_bytes_max = held_bytes_max
        self._held = bytearray()
        self._holds = True

    @property
    def holds(self) -> bool:
        """Whether nothing has been passed on."""
        return self._holds

    def feed(self, chunk: bytes) -> bytes:
        """Take upstream bytes; see `StreamMeter.feed`."""
        passed = super().feed(chunk)
        if not self._holds:
            return passed
        self._held += passed
        if len(self._held) <= self._held_bytes_max:
            return b""
        self._holds = False
        return self._take()

    def rest(self) -> bytes:
        """Return all that was not passed on; see `StreamMeter.rest`."""
        return self._take() + super().rest()

    def _take(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held
