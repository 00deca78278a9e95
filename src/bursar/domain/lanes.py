"""Lanes: the ways to a provider, one for each base URL and credential (a deployment, or a key).

The first lane of a provider has the provider's own name, `anthropic`; the others stand behind it, such as
`anthropic/eu`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What a lane may take in a minute; None for no limit that is known.

    Attributes:
        requests: Attempts.
        tokens: Tokens, as its provider counts them towards its limit.
    """

    requests: int | None = None
    tokens: int | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no limit at all."""
        return self.requests is None and self.tokens is None


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to a provider.

    Attributes:
        name: Names it everywhere.
        provider: The provider section that it belongs to.
        dialect: The API that is spoken there.
        base_url: As the dialect's SDK takes it.
        key: The operator's own key; None where the client's passes through, if it is for this provider.
        forwards_attribution: Whether `x-bursar-*` headers go there.
        limits: What it may take in a minute.
    """

    name: str
    provider: str
    dialect: str
    base_url: str
    key: str | None = field(default=None, repr=False)
    forwards_attribution: bool = False
    limits: LaneLimits = LaneLimits()


@dataclass(frozen=True, slots=True)
class ProviderLanes:
    """A provider, and the ways to it.

    Attributes:
        name: The provider section's name.
        dialect: The API that it speaks.
        lanes: Its lanes, the first one first; never empty.
        models: Models that are reached by it and by no other. A dialect's own provider has all the others.
    """

    name: str
    dialect: str
    lanes: tuple[Lane, ...]
    models: frozenset[str] = frozenset()


class ProviderBook:
    """All providers that are configured.

    Args:
        providers: Them. No two have a model, or a lane's name, in common.
    """

    def __init__(self, providers: Iterable[ProviderLanes] = ()) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._lanes = {lane.name: lane for provider in self for lane in provider.lanes}
        self._by_model = {model: provider for provider in self for model in provider.models}

    def __iter__(self) -> Iterator[ProviderLanes]:
        return iter(self._providers.values())

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """All lanes, by name."""
        return self._lanes

    @property
    def models(self) -> Mapping[str, ProviderLanes]:
        """The providers of all models that are reached by one alone."""
        return self._by_model

    def find(self, name: str) -> ProviderLanes | None:
        """Return a provider by its name; None where there is none."""
        return self._providers.get(name)

    def lane(self, name: str) -> Lane | None:
        """Return a lane by its name; None where there is none."""
        return self._lanes.get(name)
