"""New keys, by the operating system's randomness."""

import secrets

from bursar.domain.keys import PREFIX

_SECRET_BYTES = 32
_ID_BYTES = 6


def new_key() -> str:
    """Return a new virtual key, which nobody can guess."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def new_key_id() -> str:
    """Return a name for a new key; it opens nothing."""
    return f"k-{secrets.token_hex(_ID_BYTES)}"
