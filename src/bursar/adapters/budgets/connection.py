"""Connections to Redis, and what it must be."""

from typing import Any, Protocol, cast

import msgspec
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from bursar.adapters.budgets.failures import store_failed, unreadable
from bursar.errors import BadSetting, UnfitStore

_VERSION_MIN = 7


class RedisClient(Protocol):
    """What is asked of a client library."""

    async def execute_command(self, *args: Any) -> Any:
        """Send a command and return its reply, texts as bytes."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class RedisOptions(msgspec.Struct, frozen=True):
    """How Redis is used.

    Attributes:
        organisation: Whose budgets; several organisations can share one Redis.
        timeout_s: How long a connection, and an answer, may take.
        connections_max: How many steps may be under way at once; others wait as long.
        is_cluster: Whether it is a cluster.
        goes_by_caller: Leases expire by the time that callers tell, not by Redis's own clock. For a clock
            that runs faster than the wall's: the windows are then that clock's, too.
    """

    organisation: str = "default"
    timeout_s: float = 2.0
    connections_max: int = 64
    is_cluster: bool = False
    goes_by_caller: bool = False


def open_client(url: str, options: RedisOptions) -> RedisClient:
    """Return a client for a URL (`redis://`, `rediss://` or `unix://`); nothing is sent yet.

    It never repeats a command, and drops a connection on which one failed.

    Raises:
        BadSetting: The URL is none.
    """
    # The library's types are wider than what is used of it, or unknown: hence the casts.
    settings: dict[str, Any] = {
        "socket_timeout": options.timeout_s,
        "socket_connect_timeout": options.timeout_s,
        "max_connections": options.connections_max,
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "protocol": 2,
    }
    try:
        if options.is_cluster:
            return cast("RedisClient", RedisCluster.from_url(url, **settings))
        pool = cast("Any", BlockingConnectionPool).from_url(url, timeout=options.timeout_s, **settings)
        return cast("RedisClient", Redis.from_pool(pool))
    except (ValueError, exceptions.RedisError):
        # The library's own words could quote the URL, with its password.
        raise BadSetting(
            "this is no URL of a Redis; write it as redis://HOST:PORT/0", place="storage.redis"
        ) from None


async def send(client: RedisClient, *command: str | int | bytes) -> object:
    """Send a command and return its reply.

    Raises:
        StoreFailed: There was none, or it was an error.
    """
    try:
        return await client.execute_command(*command)
    except exceptions.NoScriptError:
        raise
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        raise store_failed(error) from error


def check_info(info: bytes) -> None:
    """Make sure that budgets can be kept in a Redis, by what its INFO command says.

    Raises:
        UnfitStore: It is too old, or may drop what it holds when memory runs short.
        StoreFailed: This is no such text.
    """
    lines = info.decode("utf-8", "replace").splitlines()
    found = {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
    version = found.get("redis_version", "").partition(".")[0]
    if not version.isdigit():
        raise unreadable()
    if int(version) < _VERSION_MIN:
        raise UnfitStore("the budget store is too old: it takes Redis 7 or Valkey")
    if found.get("maxmemory", "0") != "0" and found.get("maxmemory_policy") != "noeviction":
        raise UnfitStore(
            "the budget store may drop what was spent when memory runs short: "
            "set its maxmemory-policy to noeviction"
        )
