"""Notifiers by Apprise (https://github.com/caronc/apprise): mail, chat, pagers and a hundred services more.

The only module that knows Apprise. It is an extra, and takes a fifth of a second to import: only those who
set a notifier up pay for it.
"""

import importlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote, urlsplit

from bursar.domain.alerts import Message, Rejected
from bursar.errors import BadSetting
from bursar.policy.alerts.messages import one_line

_LOG = logging.getLogger("apprise")
_REASON_CHARS_MAX = 300

# A shorter piece of a URL is no secret, and would be found in any text.
_SECRET_CHARS_MIN = 4

_SILENT = Rejected("it did not take the message, and did not say why")


class AppriseNotifier:
    """A `ports.Notifier` behind one Apprise URL.

    Args:
        url: The URL; it holds secrets, and is never shown.

    Raises:
        BadSetting: Apprise is not installed, or knows no such URL.
    """

    def __init__(self, url: str) -> None:
        library = _import_apprise()
        self._secrets = _secrets_in(url)
        self._service: Any = library.Apprise()
        self._format: Any = library.NotifyFormat.TEXT
        # What Apprise has to say of a bad URL holds the URL.
        with _listening():
            is_known = bool(self._service.add(url))
        if not is_known:
            raise BadSetting(
                "it holds no Apprise URL, or one that lacks something; see "
                "https://github.com/caronc/apprise/wiki for those of each service"
            )

    def send(self, message: Message) -> Rejected | None:
        """Send a message; see `ports.Notifier`."""
        with _listening() as said:
            try:
                is_sent = self._service.notify(
                    body=message.body, title=message.title, body_format=self._format
                )
            except Exception as error:  # noqa: BLE001 - Plugins of a hundred services fail in ways of their own.
                return Rejected(f"its plugin failed ({type(error).__name__})")
        if is_sent:
            return None
        return Rejected(self._cleaned(" ".join(said))) if said else _SILENT

    def _cleaned(self, reason: str) -> str:
        """Leave out of a reason whatever may be a secret."""
        for secret in self._secrets:
            reason = reason.replace(secret, "…")
        return one_line(reason, _REASON_CHARS_MAX)


def _import_apprise() -> Any:
    try:
        with warnings.catch_warnings():
            # Its optional parts look for modules that newer Pythons deprecate.
            warnings.simplefilter("ignore", DeprecationWarning)
            library: Any = importlib.import_module("apprise")
            # Its plugins are imported when the first URL is looked at.
            library.Apprise.instantiate("json://127.0.0.1")
    except ImportError:
        raise BadSetting('Apprise is not installed; install it with pip install "bursar[notify]"') from None
    # What it logs, and its HTTP client, may hold parts of URLs: we say ourselves what became of a message.
    _LOG.propagate = logging.getLogger("urllib3").propagate = False
    if not any(isinstance(handler, _Listener) for handler in _LOG.handlers):
        _LOG.addHandler(_Listener(logging.WARNING))
    return library


def _secrets_in(url: str) -> list[str]:
    """Return the pieces of a URL, longest first: which are secrets differs from service to service."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    host = parts.hostname or ""
    pieces = [parts.username or "", parts.password or "", *parts.path.split("/")]
    pieces += [value for pair in parts.query.split("&") for value in pair.split("=")[1:]]
    if "." not in host and host != "localhost":
        # In many services' URLs a token stands in the place of the host; in its own spelling.
        pieces.append(parts.netloc.rpartition("@")[2].partition(":")[0])
    spelt = {text for piece in pieces for text in (piece, unquote(piece)) if len(text) >= _SECRET_CHARS_MIN}
    return sorted(spelt, key=len, reverse=True)


_SAID: ContextVar[list[str] | None] = ContextVar("said", default=None)
"""What Apprise says of the message that is being sent; it hands contexts on to threads of its own."""


class _Listener(logging.Handler):
    """Keeps what Apprise says with the message that it says it of, from warnings up."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        said = _SAID.get()
        if said is not None:
            said.append(record.getMessage())


@contextmanager
def _listening() -> Generator[list[str]]:
    said: list[str] = []
    token = _SAID.set(said)
    try:
        yield said
    finally:
        _SAID.reset(token)
