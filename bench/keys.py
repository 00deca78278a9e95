"""What letting a call in takes: without any keys, with one of a thousand, and with one that is none.

python -m bench.keys
"""

import timeit
from collections.abc import Callable
from typing import Any

from bursar.adapters.key_secrets import new_key, new_key_id
from bursar.domain.keys import Rights, Role, Secret, VirtualKey, digest_of
from bursar.gateway.auth import Guard, door_to
from bursar.gateway.hosts import LOOPBACK_NAMES, Hosts
from bursar.policy.keys.ring import Grant, KeyRing

_KEYS = 1_000
_CALLS = 20_000
_RUNS = 9
_NOW_S = 1.0
_BOUNDS_US = {"without keys": 3.0, "with a key": 8.0}

# As Anthropic's SDK sends them.
_HEADERS = {
    "host": "127.0.0.1:4100",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "connection": "keep-alive",
    "user-agent": "Anthropic/Python",
    "x-stainless-lang": "python",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
    "content-length": "1024",
    "x-api-key": "sk-ant-" + "x" * 90,
    "x-bursar-tenant": "acme",
}
_SCOPE: dict[str, Any] = {"path": "/v1/messages", "query_string": b""}


def main() -> int:
    secrets = [new_key() for _ in range(_KEYS)]
    rights = Rights(Role.AGENT, "acme", "desk", models=("claude-*",))
    ring = KeyRing(
        VirtualKey(new_key_id(), rights, (Secret(digest_of(secret)),), _NOW_S, "bench") for secret in secrets
    )
    guard, door, hosts = (
        Guard(frozenset({"anthropic"}), ring=ring),
        door_to("anthropic"),
        Hosts(LOOPBACK_NAMES),
    )
    keyed = {**_HEADERS, "x-bursar-key": secrets[_KEYS // 2]}
    strange = {**_HEADERS, "x-bursar-key": new_key()}
    admitted = [guard.admit(door, _SCOPE, dict(headers), _NOW_S) for headers in (keyed, strange)]
    if [isinstance(each, Grant) for each in admitted] != [True, False]:
        print("the wrong one is let in")
        return 1

    def let_in(guard: Guard, headers: dict[str, str]) -> Callable[[], object]:
        return lambda: hosts.refuse_foreign(headers) or guard.admit(door, _SCOPE, dict(headers), _NOW_S)

    copying_us = _best_us(lambda: dict(keyed))
    found = {
        "without keys": _best_us(let_in(Guard(), _HEADERS)) - copying_us,
        "with a key": _best_us(let_in(guard, keyed)) - copying_us,
        "with one that is none": _best_us(let_in(guard, strange)) - copying_us,
    }
    for name, us in found.items():
        bound = f"; must be ≤ {_BOUNDS_US[name]:g}" if name in _BOUNDS_US else ""
        print(f"{name}: {us:.1f} µs (best of {_RUNS}){bound}")
    return int(any(found[name] > bound for name, bound in _BOUNDS_US.items()))


def _best_us(act: Callable[[], object]) -> float:
    return min(timeit.repeat(act, number=_CALLS, repeat=_RUNS)) / _CALLS * 1e6


if __name__ == "__main__":
    raise SystemExit(main())
