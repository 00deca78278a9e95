"""`bursar.toml`, validated: every key optional, unknown keys refused by name.

No file is needed: the defaults are the embedded gateway on loopback in front of the providers' public
APIs. Reading the file happens here and nowhere else; `load` names file, key and mend for what is wrong.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from bursar.errors import BadSetting
from bursar.settings.prices import PriceSection

Mode = Literal["observe", "optimise", "passthrough"]

# How much of a wrong value is shown.
_SHOWN_CHARS_MAX = 80

PUBLIC_BASE_URLS = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
}


def _check_url(url: str) -> str:
    """Check a base URL: what is wrong with it now would otherwise fail every call."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
        parts = None
    if not sound or parts is None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise PydanticCustomError(
            "url", "Input should be a URL as the SDK's base_url takes it, such as https://api.anthropic.com"
        )
    if "@" in parts.netloc:
        raise PydanticCustomError(
            "url", "Input should hold no user name or password; name a key by api_key_env"
        )
    return url


class Section(BaseModel):
    """A table of bursar.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """`[server]`: where the gateway listens, and what it takes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 4100
    body_limit_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 32 * 1024 * 1024
    shutdown_grace_s: Annotated[int, Field(ge=0, le=3600)] = 30


class Storage(Section):
    """`[storage]`: where the ledger lies, and what to do while it cannot be written."""

    dir: str = "bursar-data"
    on_store_failure: Literal["refuse", "admit"] = "refuse"


class Provider(Section):
    """`[providers.NAME]`: one provider's API.

    Attributes:
        base_url: As the SDK's `base_url` takes it (OpenAI's ends in `/v1`); absent: the public API.
        api_key_env: Environment variable that holds the key; absent: the client's key passes through.
        forward_attribution: Whether `x-bursar-*` headers go upstream; default: only to loopback.
        connect_timeout_s: How long connecting may take.
        timeout_s: How long one attempt may take, and the longest silence within a stream.
        deadline_s: How long a call may take, its retries included.
        retries_max: Further attempts after one that failed before anything reached the client.
    """

    base_url: Annotated[str, AfterValidator(_check_url)] | None = None
    api_key_env: str | None = None
    forward_attribution: bool | None = None
    connect_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10
    timeout_s: Annotated[float, Field(gt=0, le=7200)] = 600
    deadline_s: Annotated[float, Field(gt=0, le=7200)] = 900
    retries_max: Annotated[int, Field(ge=0, le=10)] = 2


class Providers(Section):
    """`[providers]`: the APIs that calls go to, by dialect family."""

    anthropic: Provider = Provider()
    openai: Provider = Provider()


class PrefixCache(Section):
    """`[prefix_cache]`: the provider's prompt cache, used where it pays."""

    enabled: bool = True


class Settings(Section):
    """All of bursar.toml.

    Attributes:
        mode: `optimise`; `observe` leaves bytes untouched and books would-be savings; `passthrough`
            leaves them untouched and only meters.
        unpriced: Whether a call to a model without a price is refused, or admitted at unknown cost.
        routing_tasks: Tasks whose calls count as the component `routing`.
    """

    mode: Mode = "optimise"
    unpriced: Literal["refuse", "admit"] = "refuse"
    routing_tasks: tuple[str, ...] = ("intent_classification", "conversation_routing")
    server: Server = Server()
    storage: Storage = Storage()
    providers: Providers = Providers()
    prefix_cache: PrefixCache = PrefixCache()
    prices: PriceSection = Field(default_factory=PriceSection)


def base_url(name: str, provider: Provider) -> str:
    """Return a provider's base URL: its own, or its public API's."""
    return provider.base_url or PUBLIC_BASE_URLS[name]


def load(file: str | None) -> Settings:
    """Read a configuration file.

    Args:
        file: Path of a TOML file; None for the defaults.

    Raises:
        BadSetting: The file cannot be read, is not TOML, or holds a key or value that is not allowed.
    """
    if file is None:
        return Settings()
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise BadSetting(f"cannot be read ({error.strerror})", place=file) from None
    try:
        table = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise BadSetting(f"is not UTF-8 (byte {error.start})", place=file) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"is not TOML: {error}", place=file) from None
    except RecursionError:
        raise BadSetting("is not TOML: it is nested too deeply", place=file) from None
    return parse(table, file)


def parse(table: dict[str, Any], file: str) -> Settings:
    """Validate settings that were read from `file`.

    Raises:
        BadSetting: A key or value is not allowed; the message names all of them, one a line.
    """
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        wrong = [_describe(dict(problem)) for problem in error.errors(include_url=False)]
        raise BadSetting("; ".join(wrong), place=file) from None


def _describe(problem: dict[str, Any]) -> str:
    """Say in words what pydantic found wrong with one setting."""
    location: tuple[str | int, ...] = problem["loc"]
    key = ".".join(str(part) for part in location)
    if problem["type"] != "extra_forbidden":
        found = repr(problem["input"])
        shown = found if len(found) <= _SHOWN_CHARS_MAX else f"{found[:_SHOWN_CHARS_MAX]}…"
        return f"{key}: {problem['msg']} (found {shown})"
    known = _known_keys(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    mend = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"
    return f"{key}: unknown setting; {mend}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """List the settings that exist in a table."""
    model: Any = Settings
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        model = field.annotation
    return list(getattr(model, "model_fields", {}))
