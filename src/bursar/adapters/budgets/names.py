"""The names of things in Redis.

All keys of an organisation stand in one slot of a cluster, by the braces around its name. The number in
front is the version of what is kept under the keys.
"""

import re
from collections.abc import Callable, Collection
from hashlib import blake2b

from bursar.domain.reservations import Counter

_NAME_CHARACTERS_MAX = 80


class Names:
    """Names an organisation's keys: short, and different for different things, whatever texts name those.

    Args:
        organisation: The organisation's name; any text.
    """

    def __init__(self, organisation: str) -> None:
        # Braces within the name would end the part that chooses the slot.
        is_slot = "{" not in organisation and "}" not in organisation
        slot = _shorten(organisation) if is_slot else f"#{_digest(organisation)}"
        prefix = f"bursar:1:{{{slot}}}:"
        self.leases = f"{prefix}leases"
        """Sorted set of what is held: names of reservations, by when they expire."""
        self.state = f"{prefix}state"
        """Hash: the number of settles so far; the time where the caller tells it."""
        self._lease = f"{prefix}lease:"
        self._conversation = f"{prefix}conversation:"
        self._counter = f"{prefix}counter:"

    def reservation(self, reservation_id: str) -> str:
        """Name a reservation within the sorted set."""
        return _shorten(reservation_id)

    def lease(self, name: str) -> str:
        """Return the key of a reservation's lease or tombstone, by its name in the sorted set."""
        return self._lease + name

    def conversation(self, conversation: str) -> str:
        """Return the key of a conversation."""
        return self._conversation + _shorten(conversation)

    def counter(self, counter: Counter) -> str:
        """Return the key of a counter."""
        end = "" if counter.end_s is None else counter.end_s
        scope = _shorten(counter.scope)
        return f"{self._counter}{counter.unit}:{counter.period}:{counter.start_s}:{end}:{scope}"

    @property
    def counters(self) -> str:
        """Pattern of the keys of all counters."""
        return _glob(self._counter)

    @property
    def conversations(self) -> str:
        """Pattern of the keys of all conversations."""
        return _glob(self._conversation)

    def is_of(self, key: str, belongs: Callable[[str], bool], known: Collection[str]) -> bool:
        """Whether the key of a counter or conversation is that of one of some scopes.

        Args:
            key: The key.
            belongs: Whether a scope, as `str(Scope)`, is one of them.
            known: Those of them that are known: a key may name its scope by a digest alone.
        """
        if key.startswith(self._counter):
            # Unit, window and its bounds stand before the scope.
            text = key.removeprefix(self._counter).split(":", 4)[-1]
        else:
            text = key.removeprefix(self._conversation)
        return belongs(text[1:]) if text.startswith("=") else text in {_shorten(scope) for scope in known}


def _glob(prefix: str) -> str:
    """Return the pattern of all keys that begin so."""
    return re.sub(r"([\\*?\[\]^-])", r"\\\1", prefix) + "*"


def _shorten(text: str) -> str:
    """Return a text itself, or its digest; no text is shortened to what another one is."""
    return f"={text}" if _is_plain(text) else f"#{_digest(text)}"


def _is_plain(text: str) -> bool:
    return len(text) <= _NAME_CHARACTERS_MAX and text.isascii()


def _digest(text: str) -> str:
    # Clients may choose the text, so it takes a digest in which nobody finds two alike.
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
