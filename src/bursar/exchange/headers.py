"""Which headers pass, in which direction."""

from collections.abc import Mapping

PREFIX = "x-bursar-"

# Headers that describe one connection (RFC 9110, 7.6.1) or a framing that we undo and do anew.
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "content-encoding",
        "accept-encoding",
        "host",
        "expect",
    )
)

_VALUE_CHARS_MAX = 200

_NOT_FOR_CLIENTS = _HOP_BY_HOP | {"set-cookie"}

# Never forwarded, whatever the settings: it is a secret between the client and us.
_SECRET = f"{PREFIX}key"


def header_text(text: str) -> str:
    """Return text of any origin as a header's value: short, and without what could end the header."""
    text = text[:_VALUE_CHARS_MAX]
    return text if text.isprintable() else "".join([c if c.isprintable() else "?" for c in text])


def for_provider(headers: Mapping[str, str], *, attribution: bool) -> dict[str, str]:
    """Choose the client's headers that go upstream.

    Args:
        headers: The client's, names in lower case.
        attribution: Whether `x-bursar-*` headers go too.
    """
    return {
        name: value
        for name, value in headers.items()
        if name not in _HOP_BY_HOP and (not name.startswith(PREFIX) or (attribution and name != _SECRET))
    }


def for_client(headers: Mapping[str, str]) -> dict[str, str]:
    """Choose the provider's headers that go back: all but framing, cookies and what poses as ours."""
    return {
        lower: value
        for name, value in headers.items()
        if (lower := name.lower()) not in _NOT_FOR_CLIENTS and not lower.startswith(PREFIX)
    }
