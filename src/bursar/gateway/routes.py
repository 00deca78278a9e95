"""Every path that the gateway serves, and what it costs.

A path that reaches a provider is `BILLED` (through an exchange: metered, recorded) or `FREE` (the
provider charges nothing for it). There is no third kind: what is not in this table is refused, so that
nothing passes the meter by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote


class Charge(Enum):
    """How a route is metered."""

    BILLED = auto()
    FREE = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One path of a provider's API.

    Attributes:
        method: HTTP method.
        path: Path as clients ask for it.
        charge: How it is metered.
        dialect: The dialect in which it is spoken, or errors are told.
        upstream: Name of the provider section that it goes to.
        upstream_path: Path below that provider's base URL.
        below: Whether paths below it belong to it too.
    """

    method: str
    path: str
    charge: Charge
    dialect: str
    upstream: str
    upstream_path: str
    below: bool = False


# What may stand in a query (RFC 3986, 3.4), and what is encoded already. Anything else, such as a line's
# end, is encoded before it goes upstream.
_QUERY_SAFE = "%!$&'()*+,;=:@/?"

_ANTHROPIC = "anthropic.messages"
_OPENAI = "openai.chat"

ROUTES = (
    Route("POST", "/v1/messages", Charge.BILLED, _ANTHROPIC, "anthropic", "/v1/messages"),
    Route("POST", "/v1/chat/completions", Charge.BILLED, _OPENAI, "openai", "/chat/completions"),
    Route(
        "POST",
        "/v1/messages/count_tokens",
        Charge.FREE,
        _ANTHROPIC,
        "anthropic",
        "/v1/messages/count_tokens",
    ),
)

# Both providers list their models under the same path; Anthropic's clients say their API version.
_ANTHROPIC_MODELS = Route("GET", "/v1/models", Charge.FREE, _ANTHROPIC, "anthropic", "/v1/models", below=True)
_OPENAI_MODELS = Route("GET", "/v1/models", Charge.FREE, _OPENAI, "openai", "/models", below=True)

_EXACT = {(route.method, route.path): route for route in ROUTES}


def find_route(method: str, path: str, headers: Mapping[str, str]) -> Route | None:
    """Return the route of a request, or None where there is none."""
    route = _EXACT.get((method, path))
    if route is not None:
        return route
    models = _ANTHROPIC_MODELS if "anthropic-version" in headers else _OPENAI_MODELS
    if method == models.method and (path == models.path or _is_one_below(path, models.path)):
        return models
    return None


def error_dialect(path: str, headers: Mapping[str, str]) -> str:
    """Return the dialect in which to tell a client of an unknown path."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return _ANTHROPIC
    return _OPENAI


def upstream_path(route: Route, path: str, query: str) -> str:
    """Return the path and query to ask the provider for, percent-encoded.

    Args:
        route: The request's route.
        path: Its path, decoded.
        query: Its query as it came, in Latin-1.
    """
    below = path[len(route.path) :]
    target = route.upstream_path + quote(below, safe="/:@") if below else route.upstream_path
    return f"{target}?{quote(query.encode('latin-1'), safe=_QUERY_SAFE)}" if query else target


def _is_one_below(path: str, parent: str) -> bool:
    """Whether a path is one plain segment below another, so that no `..` can climb out of it."""
    name = path.removeprefix(f"{parent}/")
    return name != path and name not in {"", ".", ".."} and not set(name) & set("/%\\")
