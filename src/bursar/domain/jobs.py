"""Jobs of a provider's batch API: many requests handed over at once, answered within a day."""

import msgspec


class JobLimits(msgspec.Struct, frozen=True):
    """What one job may hold.

    Attributes:
        requests_max: Its requests.
        bytes_max: All of them together, as they are handed over.
        window_s: How long the provider works on it; what is not answered by then expires.
    """

    requests_max: int
    bytes_max: int
    window_s: float
