"""Which names the gateway answers to.

A page in a browser may have its own name resolve to this machine (DNS rebinding), or simply send a form to
it, and would then speak with a gateway that is meant for this machine alone. It cannot choose what its
browser writes into `host` and `origin`.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from bursar.domain.bounded import BoundedDict
from bursar.wire.dialect import Fault

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_SEEN_MAX = 256
_FOREIGN_HOST = Fault(
    421,
    "invalid_request_error",
    "this gateway does not answer to the name in the host header; name it in [server] hosts if it should",
)
_FOREIGN_ORIGIN = Fault(
    403,
    "permission_error",
    "a web page of another origin may not use this gateway; name its host in [server] hosts if it may",
)


class Hosts:
    """Tells requests that were meant for this gateway from others.

    Args:
        names: Names and addresses, without ports, that it answers to; None: to all.
    """

    def __init__(self, names: Iterable[str] | None = None) -> None:
        self._names = None if names is None else frozenset(name.strip("[]").lower() for name in names)
        # What was found of the headers of earlier requests, which are nearly always the same.
        self._seen = BoundedDict[tuple[str | None, str | None], Fault | None](_SEEN_MAX)

    def refuse_foreign(self, headers: Mapping[str, str]) -> Fault | None:
        """Say why a request was not meant for this gateway; None where it may have been.

        One without a host is no browser's.
        """
        if self._names is None:
            return None
        asked = headers.get("host"), headers.get("origin")
        try:
            return self._seen[asked]
        except KeyError:
            fault = self._judge(*asked)
            self._seen.keep(asked, fault)
            return fault

    def _judge(self, host: str | None, origin: str | None) -> Fault | None:
        if host is not None and not self._knows(f"//{host}"):
            return _FOREIGN_HOST
        if origin is not None and not self._knows(origin):
            return _FOREIGN_ORIGIN
        return None

    def _knows(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            # Reading the port refuses one that is none.
            sound = parts.port is None or parts.port >= 0
        except ValueError:
            return False
        is_plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
        name = (parts.hostname or "").removesuffix(".")
        return sound and is_plain and self._names is not None and name in self._names
