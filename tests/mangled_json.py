"""JSON that is almost right: what clients and providers send when something is wrong with them."""

import json
from typing import Any

from hypothesis import strategies as st

# Text that Python writes as an escape, and what no UTF-8 can hold.
_texts = st.text(max_size=8) | st.sampled_from(
    ["", "\x00", "\ud800", "\u2028", "𝒳", "a\r\nb", "claude-sonnet-4-6"]
)
_numbers = (
    st.integers(-3, 3)
    | st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30, 10**400, 1e308, -0.0, 0.5])
    | st.floats(allow_nan=False, allow_infinity=False)
)
_scalars = st.none() | st.booleans() | _numbers | _texts
_keys = st.text(max_size=4) | st.sampled_from(
    ["type", "role", "content", "text", "id", "name", "input", "usage", "cache_control", "ttl", "source"]
)

values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)


# Nesting is written into the bytes afterwards: Python's own recursion ends before the parsers' does.
_DEEP = {f"@{depth}": b"[" * depth + b"]" * depth for depth in (50, 600, 5000)}
_replacements = values | st.sampled_from(sorted(_DEEP))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """List each member and element below a value, as its container and its key."""
    found: list[tuple[Any, Any]] = []
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in members:
        found.append((value, key))
        found += _places(inner)
    return found


@st.composite
def mangled(draw: st.DrawFn, good: Any) -> bytes:
    """JSON bytes of a good value of which one to three members are replaced, dropped, added or doubled."""
    value = json.loads(json.dumps(good))
    doubled = b""
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(_places(value) or [({}, "")]))
        change = draw(st.sampled_from(["replace", "replace", "replace", "drop", "add", "double"]))
        if change == "replace":
            container[key] = draw(_replacements)
        elif change == "drop" and key in container if isinstance(container, dict) else False:
            del container[key]
        elif change == "add" and isinstance(container, dict):
            container[draw(_keys)] = draw(values)
        elif change == "double" and isinstance(value, dict) and value:
            name = draw(st.sampled_from(sorted(value)))
            doubled += b"," + json.dumps(name).encode() + b":" + _written(draw(values))
    body = _written(value)
    return body[:-1] + doubled + b"}" if body.endswith(b"}") else body


def _written(value: Any) -> bytes:
    written = json.dumps(value).encode()
    for name, nested in _DEEP.items():
        written = written.replace(b'"%s"' % name.encode(), nested)
    return written


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Bytes of which a stretch is cut out or overwritten."""
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 40)))
    return good[:start] + draw(st.binary(max_size=6)) + good[end:]
