"""`bursar.toml`, validated: every key optional, unknown keys refused by name.

No file is needed: the defaults are the embedded gateway on loopback in front of the providers' public
APIs. Reading the file happens here and nowhere else; `load` names file, key and mend for what is wrong.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from bursar.errors import BadSetting
from bursar.settings.agents import AgentSection, Layer, Layers, PrefixCache
from bursar.settings.anomalies import AnomalySection
from bursar.settings.budgets import BudgetEntries, BudgetEntry
from bursar.settings.notify import NotifySection
from bursar.settings.prices import PriceSection
from bursar.settings.routing import Routing, Tasks, Tiers
from bursar.settings.sections import Section
from bursar.settings.values import AgentLabel, Label, PositiveUsd, Share

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


def _check_host(name: str) -> str:
    """Check a host's name or address: no other could stand alone in a `host` header."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+|\[?[0-9A-Fa-f:.]+\]?", name):
        raise PydanticCustomError(
            "host", "Input should be a name or an address without a port, such as gateway.example.com"
        )
    return name


class Server(Section):
    """`[server]`: where the gateway listens, and what it takes.

    Attributes:
        host: Address.
        port: Port; 0 for any that is free.
        body_limit_bytes: Longer request bodies are refused.
        shutdown_grace_s: How long calls may go on once it is told to stop.
        admin_key_env: Environment variable with the operator's token, for what only operators may do over
            HTTP; absent: only a virtual key of role admin may.
        body_timeout_s: How long a request's body may take to arrive.
        hosts: Names that the gateway answers to, without ports; absent: this machine's own where it listens
            on loopback, else all.
        require_key: Whether calls need a virtual key; absent: once there has been any.
        open: Whether it may listen beyond loopback although no key is needed.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 4100
    body_limit_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 32 * 1024 * 1024
    shutdown_grace_s: Annotated[int, Field(ge=0, le=3600)] = 30
    admin_key_env: str | None = None
    body_timeout_s: Annotated[int, Field(ge=1, le=3600)] = 30
    hosts: tuple[Annotated[str, AfterValidator(_check_host)], ...] | None = None
    require_key: bool | None = None
    open: bool = False


class Storage(Section):
    """`[storage]`: where the ledger and the working content lie, and what to do while the ledger fails.

    Attributes:
        dir: The directory.
        redis: URL of a Redis 7 or Valkey for what calls hold, shared by all processes; absent: this process's
            memory.
        organisation: Whose budgets they are there; several organisations can share one Redis.
        redis_cluster: Whether it is a cluster.
        on_store_failure: Whether calls are refused or admitted while the ledger cannot be written, or
            nothing can be held.
        content_bytes_max: What the working content (answers, summaries, full tool results) may take.
        content_key_env: Environment variable with the key that seals it; absent: it is not sealed.
    """

    dir: str = "bursar-data"
    redis: str | None = None
    organisation: str = "default"
    redis_cluster: bool = False
    on_store_failure: Literal["refuse", "admit"] = "refuse"
    content_bytes_max: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 1 << 30
    content_key_env: str | None = None


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


class Settings(Section):
    """All of bursar.toml.

    Attributes:
        mode: `optimise`; `observe` leaves bytes untouched and books would-be savings; `passthrough`
            leaves them untouched and only meters.
        unpriced: Whether a call to a model without a price is refused, or admitted at unknown cost.
        routing_tasks: Tasks whose calls count as the component `routing`.
        holdout: Share of conversations that are left as they came, to compare the others with; at most 0.5.
        defaults: What is on for everybody,
        tenants: for a tenant's agents,
        agents: and for an agent, or a tenant's agent (`"TENANT/NAME"`).
        budgets: What scopes may take.
        notify: Whom ladders tell, by name.
        anomalies: When somebody is told that spending is not as usual.
        unpriced_worst_case_usd: What a call to a model without a price is taken to cost at most, in
            nanodollars, where such calls are admitted; absent: wherever a budget limits money, they are
            refused.
        tiers: Models that may stand for each other, from the cheapest tier to the dearest,
        tasks: the tier of each task,
        routing: and who is routed.
        count_margin: How much more than our count a provider may count, as a share, per mille: what is held
            for a prompt.
    """

    mode: Mode = "optimise"
    unpriced: Literal["refuse", "admit"] = "refuse"
    routing_tasks: tuple[str, ...] = ("intent_classification", "conversation_routing")
    server: Server = Server()
    storage: Storage = Storage()
    providers: Providers = Providers()
    holdout: Share = 0
    defaults: AgentSection = AgentSection()
    tenants: dict[Label, AgentSection] = Field(default_factory=dict)
    agents: dict[AgentLabel, AgentSection] = Field(default_factory=dict)
    prefix_cache: PrefixCache = PrefixCache()
    prices: PriceSection = Field(default_factory=PriceSection)
    budgets: BudgetEntries = ()
    notify: dict[Label, NotifySection] = Field(default_factory=dict)
    anomalies: AnomalySection = AnomalySection()
    unpriced_worst_case_usd: PositiveUsd | None = None
    tiers: Tiers = Field(default_factory=dict)
    tasks: Tasks = Field(default_factory=dict)
    routing: Routing = Routing()
    count_margin: Share = 100

    @property
    def layers(self) -> Layers:
        """What is on, and for whom."""
        top = Layer(place="", section=AgentSection(prefix_cache=self.prefix_cache))
        defaults = Layer(place="defaults", section=self.defaults)
        return Layers((top, defaults), self.tenants, self.agents)

    @model_validator(mode="after")
    def _check_layers(self) -> "Settings":
        layers = self.layers
        for tenant, agent in layers.pairs():
            try:
                layers.merged(tenant, agent)
            except ValidationError as error:
                guilty = [layer.place for layer in layers.of(tenant, agent) if layer.section.bounds_history]
                raise PydanticCustomError(
                    "layers",
                    "{places}: {why}",
                    {"places": " and ".join(guilty), "why": error.errors()[0]["msg"]},
                ) from None
        return self


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


def parse_budget(table: dict[str, Any], place: str) -> BudgetEntry:
    """Validate one table of the form of `[[budgets]]` that comes from elsewhere, such as a stored budget.

    Raises:
        BadSetting: A key or value is not allowed.
    """
    try:
        return parse({"budgets": [table]}, place).budgets[0]
    except BadSetting as error:
        # There is no array elsewhere, and so no number in it.
        said = str(error).removeprefix(f"{place}: ")
        raise BadSetting(re.sub(r"(^|; )budgets\.0(\.|: )", r"\1", said), place=place) from None


# What TOML calls them, where pydantic speaks of Python's types.
_WANTED = dict.fromkeys(("model_type", "dict_type"), "Input should be a table") | dict.fromkeys(
    ("tuple_type", "frozen_set_type", "set_type", "list_type"), "Input should be an array"
)


def _describe(problem: dict[str, Any]) -> str:
    """Say in words what pydantic found wrong with one setting."""
    location: tuple[str | int, ...] = problem["loc"]
    # Where a key itself is wrong, pydantic says so behind it.
    key = ".".join(str(part) for part in location if part != "[key]")
    if problem["type"] in {"history", "layers", "budget", "notify"}:
        # Keys that contradict each other: the message names them, and the table as a whole says no more.
        return f"{key}: {problem['msg']}" if key else problem["msg"]
    if problem["type"] != "extra_forbidden":
        found = repr(problem["input"])
        shown = found if len(found) <= _SHOWN_CHARS_MAX else f"{found[:_SHOWN_CHARS_MAX]}…"
        return f"{key}: {_WANTED.get(problem['type'], problem['msg'])} (found {shown})"
    known = _known_keys(location[:-1])
    if len(location) == 1 and location[0] in AgentSection.model_fields:
        return f"{key}: unknown setting; write it under [defaults], [tenants.NAME] or [agents.NAME]"
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    mend = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"
    return f"{key}: unknown setting; {mend}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """List the settings that exist in a table."""
    model: Any = Settings
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = field.annotation
            continue
        # A table whose keys are names that the operator chose, or an array: all of its members are alike.
        members = get_args(model)
        if type(None) in members:
            model = members[0]
            members = get_args(model)
        if get_origin(model) not in {dict, tuple}:
            return []
        model = members[1] if get_origin(model) is dict else members[0]
    return list(getattr(model, "model_fields", {}))
