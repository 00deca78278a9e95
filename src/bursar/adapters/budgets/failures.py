"""What went wrong with Redis, in words for an operator: no key, no content, no address."""

import re

from redis import exceptions

from bursar.errors import StoreFailed, UnfitStore

_TOO_OLD = "is too old: it takes Redis 7 or Valkey"

_WORDS = {
    "OOM": "is out of memory: raise its maxmemory",
    "LOADING": "is still loading its data",
    "BUSY": "is busy with a script that does not end",
    "READONLY": "is a replica that takes no writes: name the primary",
    "MISCONF": "cannot save its data to disk, and takes no writes until it can",
    "NOAUTH": "asks for a password: put it into the URL",
    "WRONGPASS": "does not know this user and password",
    "NOPERM": "does not allow this user the commands that budgets need",
    "MOVED": "is a cluster: say so in the settings",
    "ASK": "is a cluster: say so in the settings",
    "CLUSTERDOWN": "cannot be reached as a cluster",
    "WRONGTYPE": "has other things under keys that begin with bursar:1:",
}

# The library takes these codes off the text and tells them by class; the narrower class comes first.
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AskError, "MOVED"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.RedisClusterException, "CLUSTERDOWN"),
    (exceptions.AuthenticationError, "WRONGPASS"),
    (exceptions.AuthorizationError, "WRONGPASS"),
)


def store_failed(error: Exception) -> StoreFailed:
    """Return the error to raise for what the client library raised."""
    reason = _reason(error)
    return (UnfitStore if reason == _TOO_OLD else StoreFailed)(f"the budget store {reason}")


def unreadable() -> StoreFailed:
    """Return the error to raise for an answer that is none."""
    return StoreFailed("the budget store gave an answer that this version does not understand: is it Redis?")


def _reason(error: Exception) -> str:
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return "did not answer in time"
    for kind, code in _CODES:
        if isinstance(error, kind):
            return _WORDS[code]
    text = str(error)
    code = re.match(r"[A-Z]+\b", text)
    if code is not None and code.group() in _WORDS:
        return _WORDS[code.group()]
    if "compiling script" in text or "unknown command" in text.lower():
        return _TOO_OLD
    if isinstance(error, exceptions.InvalidResponse):
        return "gave an answer that is none of Redis's"
    if isinstance(error, exceptions.ResponseError):
        return "refused a step: it holds what this version does not understand, or is no Redis 7"
    return "cannot be reached, or broke off"
