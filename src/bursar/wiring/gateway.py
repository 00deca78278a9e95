"""Settings → the gateway."""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.adapters.budgets.memory import MemoryBudgets
from bursar.adapters.clock import WallClock
from bursar.adapters.content.file import Room
from bursar.adapters.content.opening import open_content
from bursar.adapters.content.purging import keep_purging
from bursar.adapters.content.sealing import AesGcmSeal, read_key
from bursar.adapters.content.sqlite import ContentOptions
from bursar.adapters.ids import TimeOrderedIds
from bursar.adapters.ledger.sqlite import SqliteLedger
from bursar.adapters.metrics import Metrics
from bursar.adapters.retained import RetainedLedger
from bursar.adapters.timers import CoarseTimers
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.adapters.upstream import HttpUpstream
from bursar.domain.admin import ItemKind
from bursar.domain.reservations import Level, Reservation
from bursar.drivers.asynchronous import World
from bursar.drivers.holding import Observe
from bursar.errors import BadSetting
from bursar.gateway.app import Gateway, GatewayOptions, Lifetime
from bursar.gateway.auth import Guard
from bursar.gateway.budgets import BudgetPages
from bursar.gateway.health import Health
from bursar.gateway.hosts import LOOPBACK_NAMES, Hosts
from bursar.gateway.keys import KeyPages
from bursar.policy.keys.ring import Grant
from bursar.settings import Provider, Server, Settings, Storage, base_url
from bursar.settings.budgets import budgets_of
from bursar.settings.stored import Act
from bursar.wiring.admin import AdminWatch, Counting
from bursar.wiring.alerts import Alerts, build_notifier, check_finding_notifiers
from bursar.wiring.anomalies import build_anomaly_feed
from bursar.wiring.budgets import Ledgers, build_holdings
from bursar.wiring.caps import CapRaiser
from bursar.wiring.engine import build_engine, providers_of
from bursar.wiring.forgetting import ForgetfulLedger, Forgetting, Memory
from bursar.wiring.keys import KeyDesk
from bursar.wiring.loops import LoopKeeper


def build_gateway(settings: Settings, *, time_scale: float = 1.0) -> Gateway:
    """Construct the gateway and everything below it.

    Raises:
        BadSetting: Settings contradict each other or the environment.
        StoreFailed: The ledger cannot be opened.
    """
    keys = _provider_keys(settings)
    guard = Guard(frozenset(keys), settings.server.require_key, _admin_key(settings.server))
    _check_exposure(settings)
    clock = WallClock(time_scale)
    ledger = SqliteLedger.open(Path(settings.storage.dir))
    admin = SqliteAdmin.open(Path(settings.storage.dir))
    content = open_content(Path(settings.storage.dir), _content_options(settings.storage))
    retained = RetainedLedger(ledger, clock)
    timers = CoarseTimers()
    upstream = _open_upstream(settings, timers)
    metrics = Metrics()
    resources = AsyncExitStack()
    resources.enter_context(closing(ledger))
    resources.enter_context(closing(content))
    resources.push_async_callback(retained.close)
    engine = build_engine(settings)
    alerts = Alerts(settings, engine, ledger, clock)
    alerts.close_with(resources)
    tell = alerts.recorder.tell
    anomalies = build_anomaly_feed(settings, metrics, clock, tell)
    held = build_holdings(settings.storage, engine, clock, Ledgers(ledger, retained), resources)
    held.holdings.observe = _observe_settled(metrics, alerts)
    resources.push_async_callback(upstream.close)
    counting = Counting(held.store, ledger, clock, is_shared=held.is_shared)
    watch = AdminWatch(engine, admin, budgets_of(settings.budgets), counting, clock, guard)
    forgetful = ForgetfulLedger(retained)
    counters = held.store if isinstance(held.store, MemoryBudgets) else None
    watch.forget = Forgetting(
        Memory(engine, content, forgetful, alerts.recorder, anomalies, counters, held.journal), clock
    )
    loop_keeper = LoopKeeper(engine.loops, admin, clock, tell)
    raise_caps = CapRaiser(engine, held.store, ledger, watch, clock, loop_keeper.save)

    def open_desk(grant: Grant) -> KeyDesk:
        return KeyDesk(admin, Act(grant.key_id or "api", clock.now()), grant.rights)

    observer, ids = metrics if anomalies is None else anomalies, TimeOrderedIds(clock)
    tokenizer = SplintrTokenizer()
    return Gateway(
        engine,
        World(clock, tokenizer, upstream, forgetful, observer, ids, timers, content, holdings=held.holdings),
        replace(
            _build_options(settings, keys, guard),
            budgets=BudgetPages(engine, held.store, clock, raise_caps=raise_caps),
            keys=KeyPages(open_desk, watch.look),
        ),
        _build_health(settings.storage, retained, metrics),
        lifetime=Lifetime(
            resources,
            # What is counted depends on what operators set.
            preparations=(watch.start, *held.preparations),
            chores=(
                lambda: keep_purging(content, clock),
                held.holdings.keep_renewing,
                held.holdings.keep_sweeping,
                watch.keep_looking,
                loop_keeper.keep_saving,
                alerts.recorder.keep_recording,
                alerts.deliverer.keep_delivering,
                *([] if anomalies is None else [anomalies.keep_watching]),
            ),
        ),
    )


def _observe_settled(metrics: Metrics, alerts: Alerts) -> Observe:
    def observe(reservation: Reservation, amounts: Sequence[int], levels: Sequence[Level]) -> None:
        metrics.settled(reservation.amounts, amounts)
        alerts.recorder.observe(reservation, amounts, levels)

    return observe


def _open_upstream(settings: Settings, timers: CoarseTimers) -> HttpUpstream:
    providers = providers_of(settings)
    return HttpUpstream(
        {name: base_url(name, provider) for name, provider in providers.items()},
        {name: provider.connect_timeout_s for name, provider in providers.items()},
        timers,
    )


def _build_options(settings: Settings, keys: Mapping[str, str], guard: Guard) -> GatewayOptions:
    return GatewayOptions(
        body_limit_bytes=settings.server.body_limit_bytes,
        provider_keys=keys,
        forward_attribution=_forwarding(settings),
        guard=guard,
        hosts=_hosts(settings.server),
        body_timeout_s=settings.server.body_timeout_s,
    )


def _build_health(storage: Storage, retained: RetainedLedger, metrics: Metrics) -> Health:
    return Health(
        store_is_well=lambda: retained.is_well,
        store_has_room=lambda: retained.has_room,
        metrics=metrics.text,
        admit_without_store=storage.on_store_failure == "admit",
    )


def find_obstacles(settings: Settings) -> list[BadSetting]:
    """Return what would keep a gateway from starting in this environment, without constructing one."""
    obstacles: list[BadSetting] = []
    checks = (
        lambda: _provider_keys(settings),
        lambda: _admin_key(settings.server),
        lambda: _check_exposure(settings),
        lambda: _content_options(settings.storage),
        lambda: check_finding_notifiers(settings),
        *(partial(build_notifier, name, section) for name, section in settings.notify.items()),
    )
    for check in checks:
        try:
            check()
        except BadSetting as error:
            obstacles.append(error)
    return obstacles


def _check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine while anybody who reaches the gateway would be let in."""
    server = settings.server
    if is_loopback(server.host) or server.open or server.require_key:
        return
    if server.require_key is None and has_keys(settings):
        return
    raise BadSetting(
        "anybody who reaches it would be let in, since no virtual key is needed; make one (bursar key "
        "create), or bind to 127.0.0.1, or allow it by [server] open = true",
        place="server.host",
    )


def has_keys(settings: Settings) -> bool:
    """Whether a virtual key was ever made, so that calls need one.

    Raises:
        StoreFailed: The admin store cannot be read.
    """
    admin = SqliteAdmin.open_existing(Path(settings.storage.dir))
    return admin is not None and bool(admin.read().items.get(ItemKind.KEY))


def _hosts(server: Server) -> Hosts:
    if server.hosts is not None:
        return Hosts((*server.hosts, *LOOPBACK_NAMES) if is_loopback(server.host) else server.hosts)
    return Hosts((server.host, *LOOPBACK_NAMES) if is_loopback(server.host) else None)


def _content_options(storage: Storage) -> ContentOptions:
    room = Room(storage.content_bytes_max)
    name = storage.content_key_env
    if name is None:
        return ContentOptions(room)
    place = "storage.content_key_env"
    text = _from_environment(name, place, "content is kept unsealed")
    return ContentOptions(room, seal=AesGcmSeal(read_key(text, f"{place}: {name}")))


def _admin_key(server: Server) -> str | None:
    name = server.admin_key_env
    if name is None:
        return None
    return _from_environment(name, "server.admin_key_env", "nobody acts as the operator over HTTP")


def _from_environment(name: str, place: str, otherwise: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise BadSetting(
            f"the environment variable {name} is not set; set it, or remove this setting so that {otherwise}",
            place=place,
        )
    return value


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own loopback, by name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _forwarding(settings: Settings) -> frozenset[str]:
    """Return the providers that may be told whom a call is for."""
    return frozenset(name for name, provider in providers_of(settings).items() if _forwards(name, provider))


def _forwards(name: str, provider: Provider) -> bool:
    if provider.forward_attribution is not None:
        return provider.forward_attribution
    return is_loopback(urlsplit(base_url(name, provider)).hostname or "")


def _provider_keys(settings: Settings) -> dict[str, str]:
    """Read the operator's own keys from the environment."""
    keys: dict[str, str] = {}
    for name, provider in providers_of(settings).items():
        if provider.api_key_env is None:
            continue
        keys[name] = _from_environment(
            provider.api_key_env,
            f"providers.{name}.api_key_env",
            "each client's own key passes through",
        )
    return keys
