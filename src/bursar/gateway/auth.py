"""Who is let in: virtual keys, and where they are looked for.

A key comes in `x-bursar-key`. It may come in the dialect's own auth header (`x-api-key`, or `authorization:
Bearer`) where the provider's key is the operator's; elsewhere that header is for the client's own provider
key. What is recognised as a virtual key is taken out of the request, so that it goes nowhere else; one in any
other place is refused. No text of a key is kept, logged or told.
"""

import hmac
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bursar.domain.keys import PREFIX as KEY_PREFIX
from bursar.domain.keys import Role, holds_key, is_key
from bursar.exchange.arrival import as_written
from bursar.exchange.headers import PREFIX
from bursar.policy.keys.rights import OPERATOR
from bursar.policy.keys.ring import Denial, Grant, KeyRing
from bursar.wire.dialect import Fault

OWN_HEADER = f"{PREFIX}key"
_NAME_CHARS_MAX = 60

# The same request may be asked about in these ways; whoever decodes more often is on their own.
_DECODINGS = 3


def _unauthorised(message: str) -> Fault:
    return Fault(401, "authentication_error", message)


_MISSING = _unauthorised(
    f"a virtual key is needed: send it in {OWN_HEADER}, or where this gateway has the provider's key, as the "
    f"SDK's api_key; bursar key create makes one"
)
_IN_URL = _unauthorised(
    f"a key stands in the URL, where logs of all kinds keep it; send it in {OWN_HEADER}, and rotate it"
)
_MALFORMED = _unauthorised("what was sent as a virtual key is none")
_SEVERAL = _unauthorised("several virtual keys were sent; send one")
_DENIALS = {
    Denial.UNKNOWN: _unauthorised("there is no such virtual key here"),
    Denial.REVOKED: _unauthorised("this virtual key was revoked"),
    Denial.EXPIRED: _unauthorised("this virtual key has expired"),
    Denial.REPLACED: _unauthorised("this virtual key was rotated; send the new one"),
}
_NO_OPERATOR = Fault(
    403,
    "permission_error",
    "nobody may act as the operator over HTTP; set [server] admin_key_env to the name of an environment "
    "variable with a token, or make a key of role admin (bursar key create), or use the command bursar",
)
_NOT_OPERATOR = _unauthorised(
    f"this needs the operator's token ([server] admin_key_env), or a key of role admin, in {OWN_HEADER}, or "
    f"in authorization"
)
_OPERATOR_GRANT = Grant.of("", OPERATOR)


@dataclass(frozen=True, slots=True)
class Door:
    """What a key may open.

    Attributes:
        leads_to: What lies behind it, in words.
        roles: Whose keys open it.
        upstream: The provider that it leads to; None for what the gateway answers itself.
    """

    leads_to: str
    roles: frozenset[Role]
    upstream: str | None = None


_CALLERS = frozenset({Role.ADMIN, Role.AGENT})
BUDGETS = Door("budgets", frozenset(Role))
RESULTS = Door("full tool results", _CALLERS)
OPERATING = Door("what operators do", frozenset({Role.ADMIN}))


def door_to(upstream: str) -> Door:
    """Return the door to a provider."""
    return Door("calls", _CALLERS, upstream)


@dataclass(slots=True)
class Guard:
    """Lets requests in, or says why not.

    Attributes:
        provider_keys: Providers whose key is the operator's.
        require_key: Whether a key is needed; None: once there has been any.
        operator_token: The operator's token; None where there is none.
        ring: The keys that count now.
    """

    provider_keys: frozenset[str] = frozenset()
    require_key: bool | None = None
    operator_token: str | None = None
    ring: KeyRing = field(default_factory=KeyRing)

    def admit(
        self, door: Door, scope: Mapping[str, Any], headers: MutableMapping[str, str], now_s: float
    ) -> Grant | Fault | None:
        """Look for a key, take it out of the headers, and set what it pins.

        Args:
            door: What is asked for.
            scope: The request's ASGI scope.
            headers: Its headers, names in lower case; changed.
            now_s: The time.

        Returns:
            What the key grants; None where none is needed and none was sent.
        """
        if self._stands_in(scope["path"]) or self._stands_in(scope["query_string"].decode("latin-1")):
            return _IN_URL
        offered = _take_keys(headers)
        if not offered:
            return self._admit_keyless(door, headers)
        (header, key), *others = offered.items()
        if any(other != key for _, other in others):
            return _SEVERAL
        grant = self._find(key, door, now_s)
        if isinstance(grant, Fault):
            return grant
        if header != OWN_HEADER and door.upstream is not None and door.upstream not in self.provider_keys:
            return _unauthorised(
                f"{header} holds a virtual key, but this gateway has no key of its own for {door.upstream} "
                f"([providers.{door.upstream}] api_key_env); send the virtual key in {OWN_HEADER}, and the "
                f"provider's in {header}"
            )
        return _refuse_role(grant, door) or self._refuse_misplaced(headers) or _pin(grant, headers) or grant

    def _admit_keyless(self, door: Door, headers: Mapping[str, str]) -> Grant | Fault | None:
        if door.upstream is None and self._is_token(_bearer(headers.get("authorization", ""))):
            return _OPERATOR_GRANT
        if door is OPERATING:
            return self._refuse_stranger()
        is_needed = bool(self.ring) if self.require_key is None else self.require_key
        if is_needed:
            return _MISSING
        return self._refuse_misplaced(headers) if self.ring else None

    def _find(self, key: str, door: Door, now_s: float) -> Grant | Fault:
        if not is_key(key):
            if door.upstream is None and self._is_token(key):
                return _OPERATOR_GRANT
            return self._refuse_stranger() if door is OPERATING else _MALFORMED
        found = self.ring.find(key, now_s)
        return _DENIALS[found] if isinstance(found, Denial) else found

    def _refuse_stranger(self) -> Fault:
        return _NO_OPERATOR if self.operator_token is None and not self.ring else _NOT_OPERATOR

    def _is_token(self, text: str) -> bool:
        token = self.operator_token
        return token is not None and hmac.compare_digest(
            text.encode("latin-1", "replace"), token.encode("utf-8", "replace")
        )

    def _stands_in(self, text: str) -> bool:
        """Whether a key stands in a part of a URL, encoded or not, or what is named as one."""
        for _ in range(_DECODINGS):
            if self._holds_key(text) or OWN_HEADER in text:
                return True
            if "%" not in text:
                return False
            text = unquote(text)
        return False

    def _refuse_misplaced(self, headers: Mapping[str, str]) -> Fault | None:
        """Refuse a key in a header from which it would go upstream."""
        for name, value in headers.items():
            if KEY_PREFIX in value and self._holds_key(value):
                shown = name[:_NAME_CHARS_MAX]
                return _unauthorised(f"a virtual key stands in {shown}; send it in {OWN_HEADER}")
        return None

    def _holds_key(self, text: str) -> bool:
        return KEY_PREFIX in text and (holds_key(text) or self.ring.holds_any_in(text))


def _take_keys(headers: MutableMapping[str, str]) -> dict[str, str]:
    """Take what may be virtual keys out of headers. Returns them by header."""
    found: dict[str, str] = {}
    own = headers.pop(OWN_HEADER, None)
    if own is not None:
        found[OWN_HEADER] = own.strip()
    for name in ("authorization", "x-api-key"):
        value = headers.get(name)
        if value is not None and KEY_PREFIX in value:
            token = _bearer(value) if name == "authorization" else value.strip()
            if token.startswith(KEY_PREFIX) or holds_key(value):
                del headers[name]
                found[name] = token
    return found


def _bearer(value: str) -> str:
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refuse_role(grant: Grant, door: Door) -> Fault | None:
    role = grant.rights.role
    if role in door.roles:
        return None
    return Fault(403, "permission_error", f"a key of role {role.value} is not for {door.leads_to}")


def _pin(grant: Grant, headers: MutableMapping[str, str]) -> Fault | None:
    """Attribute a request to whom its key is for; what says otherwise is refused."""
    for label, text in grant.pins:
        name = PREFIX + label
        said = headers.get(name)
        if said is not None and as_written(said).strip() not in {"", text}:
            return Fault(
                403, "attribution_conflict", f"{name}: the key that came with this is for another {label}"
            )
        headers[name] = text if text.isascii() else text.encode().decode("latin-1")
    return None
