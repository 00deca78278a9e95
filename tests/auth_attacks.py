"""Attacks on a gateway's door: what people and scanners have tried on others, and what comes near a key."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

HEADERS = (
    "x-bursar-key",
    "x-api-key",
    "authorization",
    "api-key",
    "x-goog-api-key",
    "proxy-authorization",
    "cookie",
    "x-forwarded-user",
    "x-bursar-tenant",
    "x-bursar-agent",
    "x-bursar-task",
    "x-original-url",
    "x-http-method-override",
    "host",
    "origin",
)

TARGETS = (
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/chat/completions",
    "/v1/models",
    "/v1/models/gpt-4o",
    "/v1/bursar/budget",
    "/v1/bursar/results/00112233445566778899aabbccddeeff",
    "/v1/bursar/conversations/c1/resume",
)

_CODE = (
    "' OR '1'='1",
    "'; DROP TABLE items; --",
    '" OR ""="',
    "1 UNION SELECT content FROM items",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "../../admin.db",
    "%00",
    "\x00",
    "\r\nx-bursar-key: x",
    "null",
    "undefined",
    "None",
    "true",
    "0",
    "*",
    "[]",
    "{}",
    "admin",
    "root",
    "sk-master",
    "a" * 10_000,
    "\u00ff" * 50,
    "bk_",
    "bk_*",
    "bk_" + "A" * 43,
    "bk_" + "A" * 44,
    "bk_%",
    "bk_" + "-" * 43,
    "bk_" + "/" * 43,
)


def near(key: str, key_id: str, digest: str) -> Iterator[str]:
    """Yield what is nearly a key, or is known of it and must not open."""
    middle = len(key) // 2
    yield from (key[:-1], key[1:], key[3:], key + "=", key + "A", key + key, key[:20], key[-20:])
    yield from (key.upper(), key.lower(), key.swapcase(), key[::-1])
    yield key[:middle] + ("A" if key[middle] != "A" else "B") + key[middle + 1 :]
    yield from (f"{key[:20]} {key[20:]}", f"{key},{key}", f'"{key}"', f"x{key}", f"{key}\x00", f"{key};x")
    yield from (quote(key.replace("_", "%5F")), base64.b64encode(key.encode()).decode())
    yield from (key_id, f"key:{key_id}", digest, digest.upper(), f"bk_{digest[:43]}")


def attacks(key: str, key_id: str, digest: str) -> list[str]:
    """Return all attacks, as values of headers or of a query."""
    return [*_CODE, *near(key, key_id, digest)]
