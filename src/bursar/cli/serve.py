"""`bursar serve`."""

from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from bursar.errors import BadSetting
from bursar.settings import PUBLIC_BASE_URLS, Provider, Settings, base_url, load

Layered = TypeVar("Layered", bound=BaseModel)


def serve(
    config: Annotated[str | None, typer.Option(help="bursar.toml; without one, the defaults hold.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where the ledger lies (default bursar-data).")] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=URL", help="anthropic=URL or openai=URL, as the SDK's base_url takes it."),
    ] = None,
    mode: Annotated[str | None, typer.Option(help="observe, optimise or passthrough.")] = None,
    workers: Annotated[
        int, typer.Option(help="Always 1: over one Redis, start bursar serve several times.")
    ] = 1,
    time_scale: Annotated[float, typer.Option(help="How much faster time runs, for tests of expiry.")] = 1.0,
) -> None:
    """Serve the gateway: point the official SDKs' `base_url` at it.

    In a client: `Anthropic(base_url="http://127.0.0.1:4100")` or
    `OpenAI(base_url="http://127.0.0.1:4100/v1")`. Then `bursar report` shows where the tokens went.
    """
    if workers < 1:
        raise BadSetting("takes a number from 1 up", place="--workers")
    if not 0 < time_scale < 1e9:
        raise BadSetting("takes a positive number", place="--time-scale")
    settings = _with_flags(load(config), host, port, data_dir, mode, upstream or [])
    if workers != 1:
        raise BadSetting(_why_one_worker(settings), place="--workers")
    # The server and all that it needs are imported here: `bursar --help` should not wait for them.
    from bursar.cli.server import listen, run_server
    from bursar.wiring.gateway import build_gateway

    socket = listen(settings.server.host, settings.server.port)
    with socket:
        gateway = build_gateway(settings, time_scale=time_scale)
        _greet(settings, socket.getsockname()[1])
        run_server(gateway, socket, grace_s=settings.server.shutdown_grace_s)


def _why_one_worker(settings: Settings) -> str:
    """Say why there is one worker, and how several processes serve all the same."""
    if settings.storage.redis is None:
        return "more than one worker needs Redis, which shares what the workers know"
    return (
        "each bursar serve is one process; start it several times, each with a --port of its own: over "
        "the same Redis and data directory they share budgets and ledger"
    )


def _with_flags(
    settings: Settings,
    host: str | None,
    port: int | None,
    data_dir: str | None,
    mode: str | None,
    upstreams: list[str],
) -> Settings:
    """Lay flags over the file's settings."""
    table: dict[str, Any] = {}
    for section, key, value in (
        ("server", "host", host),
        ("server", "port", port),
        ("storage", "dir", data_dir),
    ):
        if value is not None:
            table.setdefault(section, {})[key] = value
    if mode is not None:
        table["mode"] = mode
    for text in upstreams:
        name, equals, url = text.partition("=")
        if not equals or name not in PUBLIC_BASE_URLS:
            raise BadSetting(
                f"{text!r} is not NAME=URL with one of {', '.join(PUBLIC_BASE_URLS)}", place="--upstream"
            )
        table.setdefault("providers", {})[name] = {"base_url": url}
    from bursar.settings import parse

    return _lay_over(settings, parse(table, "flags"))


def _lay_over(settings: Layered, said: Layered) -> Layered:
    """Return settings with what was said elsewhere in the place of their own."""
    changes: dict[str, Any] = {}
    for key in said.model_fields_set:
        own, other = getattr(settings, key), getattr(said, key)
        changes[key] = _lay_over(own, other) if isinstance(own, BaseModel) else other
    return settings.model_copy(update=changes)


def _greet(settings: Settings, port: int) -> None:
    console = Console(stderr=True, highlight=False)
    url = f"http://{settings.server.host}:{port}"
    serving = f" serves on {url}  (mode {settings.mode}, ledger in {settings.storage.dir})"
    lines = [Text.assemble(("bursar", "bold"), serving)]
    for name, provider in (
        ("anthropic", settings.providers.anthropic),
        ("openai", settings.providers.openai),
    ):
        client = f'Anthropic(base_url="{url}")' if name == "anthropic" else f'OpenAI(base_url="{url}/v1")'
        lines.append(Text(f"  {client}  → {base_url(name, provider)}{_key_note(provider)}"))
    lines.append(Text(f"  {_who_is_let_in(settings)}"))
    for line in lines:
        # Names of settings stand in brackets, as Rich's own marks do; and a URL that is wrapped is none.
        console.print(line, soft_wrap=True)


def _who_is_let_in(settings: Settings) -> str:
    from bursar.wiring.gateway import has_keys, is_loopback

    server = settings.server
    if has_keys(settings) if server.require_key is None else server.require_key:
        return "Calls need a virtual key (bursar key list)."
    if is_loopback(server.host):
        return "No virtual key is needed, so only this machine is served (bursar key create makes one)."
    return (
        "No virtual key is needed, and the network is served: whoever reaches it is let in ([server] open)."
    )


def _key_note(provider: Provider) -> str:
    return f"  (key from {provider.api_key_env})" if provider.api_key_env else ""
