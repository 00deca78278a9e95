"""A request that the provider would not take."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the client is told in the provider's own error schema.

    Attributes:
        status: HTTP status.
        kind: The provider's error type, such as `invalid_request_error`.
        message: In the provider's wording.
        code: OpenAI's error code.
        param: OpenAI's name of the parameter at fault.
        headers: Headers beside the body, such as `retry-after`.
    """

    status: int
    kind: str
    message: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refused(Exception):  # It never leaves the double, so it is not in the error tree.
    """Raised by a check deep inside a request, and turned into an answer by the provider double.

    A refusal is an expected outcome; it travels as an exception because the checks are nested as deeply
    as the request is, and the first one ends them all.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
