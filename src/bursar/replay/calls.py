"""Recorded calls, as they are to be made again."""

from collections.abc import Mapping
from dataclasses import dataclass

from bursar.double.speech import Speech


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call to make again.

    Attributes:
        place: File and line that it comes from, such as `traffic.jsonl:12`.
        at_s: When it arrives, in seconds since the epoch.
        made_up: Whether that time is made up, because none was recorded.
        duration_s: From its arrival until its answer begins, and is complete.
        dialect: The dialect that it is written in.
        labels: Whom it is attributed to: `tenant`, `agent`, `task`, `conversation`; no empty ones.
        body: The request's body.
        speech: The recorded answer.
    """

    place: str
    at_s: float
    made_up: bool
    duration_s: float
    dialect: str
    labels: Mapping[str, str]
    body: bytes
    speech: Speech
