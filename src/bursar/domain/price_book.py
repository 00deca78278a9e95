"""Which price is in force for a model on a day.

A book is a stack of layers: the operator's own prices, over our corrections, over the public price data.
Each layer lists models with dated prices and the exact names under which each is known. A name is either
known or not: nothing here guesses, since a near match would bill a wrong price. What may vary is spelling
that providers themselves define: letter case, a provider's prefix, and the date of a snapshot.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from bursar.domain.prices import Price

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECONDS_PER_DAY = 86_400
_MEMO_ENTRIES_MAX = 4096

_SNAPSHOT = re.compile(r"(?P<stem>.+?)(?:[-@]20\d{6}|-20\d\d-\d\d-\d\d|-latest)")
_COMPACT_DATE = re.compile(r"(?P<stem>.+)-(?P<y>20\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True, slots=True)
class Listing:
    """One model in one layer.

    Attributes:
        model: The model's id.
        prices: Its prices by rising `starts`; only the first may start at None (always).
        names: Other exact names of the same model, in lower case.
        snapshots_of: Names of it that stand for themselves with a date or `-latest` behind, in lower
            case: `claude-sonnet-4-6` for `claude-sonnet-4-6-20260101`.
        provider: Whose API serves it, as a prefix such as `anthropic` in `anthropic/claude-…`; empty where
            no prefix is known.
    """

    model: str
    prices: tuple[Price, ...]
    names: frozenset[str] = frozenset()
    snapshots_of: frozenset[str] = frozenset()
    provider: str = ""

    def price_on(self, day: date) -> Price | None:
        """Return the last price that has started by `day`, or None."""
        for price in reversed(self.prices):
            if price.starts is None or price.starts <= day:
                return price
        return None


class PriceBook:
    """Dated prices of models, by layers.

    The most specific name of a model is looked up first, in each layer from the first to the last; then
    the id that the name stands for. Where a layer's price has not started yet, the layers below it hold.

    Args:
        layers: Listings, the layer that wins first. Within a layer the first listing of a name wins.
    """

    def __init__(self, *layers: Sequence[Listing]) -> None:
        self._layers = tuple(
            {listing.model.lower(): listing for listing in reversed(layer)} for layer in layers
        )
        self._ids_by_name: dict[str, list[str]] = {}
        self._ids_by_stem: dict[str, list[str]] = {}
        self._served: set[tuple[str, str]] = set()
        for layer in layers:
            for listing in layer:
                self._index(listing)
        self._providers = {provider for provider, _ in self._served}
        self._memo: dict[tuple[str, int], Price | None] = {}

    def _index(self, listing: Listing) -> None:
        model = listing.model.lower()
        for name in (model, *listing.names):
            self._ids_by_name.setdefault(name, []).append(model)
            if listing.provider:
                self._served.add((listing.provider, name))
        for stem in listing.snapshots_of:
            self._ids_by_stem.setdefault(stem, []).append(model)

    def price(self, model: str, at_s: float) -> Price | None:
        """Return a model's price at a time.

        Args:
            model: A model's id or a name of it, as a request or a response gives it.
            at_s: Seconds since the epoch, UTC: when the request started.

        Returns:
            The price in force on that day (UTC), or None where no price is known.
        """
        day = int(at_s // _SECONDS_PER_DAY)
        key = (model, day)
        try:
            return self._memo[key]
        except KeyError:
            # A time outside the calendar is before the first or after the last change all the same.
            ordinal = min(max(_EPOCH_ORDINAL + day, date.min.toordinal()), date.max.toordinal())
            price = self._find(model, date.fromordinal(ordinal))
        if len(self._memo) >= _MEMO_ENTRIES_MAX:
            # Model names come from clients; a flood of invented ones may cost time, but never memory.
            self._memo.clear()
        self._memo[key] = price
        return price

    def listings(self, model: str) -> tuple[Listing, ...]:
        """Return every listing of a model, the one that wins first. Empty where it is not known."""
        found: dict[tuple[int, str], Listing] = {}
        for form in self._forms(model.lower()):
            for number, layer in enumerate(self._layers):
                if form in layer:
                    found.setdefault((number, form), layer[form])
        return tuple(found.values())

    def models(self) -> tuple[str, ...]:
        """Return the ids of all models, sorted."""
        return tuple(sorted({listing.model for layer in self._layers for listing in layer.values()}))

    def names(self) -> tuple[str, ...]:
        """Return all exact names, ids included, sorted: to suggest one where a name is unknown."""
        return tuple(sorted(self._ids_by_name))

    def _find(self, model: str, day: date) -> Price | None:
        for listing in self.listings(model):
            price = listing.price_on(day)
            if price is not None:
                return price
        return None

    def _forms(self, name: str) -> Iterator[str]:
        """Yield the ids to look a name up by, the most specific first."""
        yield from self._known(name)
        provider, _, rest = name.partition("/")
        if rest and provider in self._providers:
            # The rest must be a model of that very provider: another's may be sold at another price.
            yield from (form for form in self._known(rest) if (provider, form) in self._served)

    def _known(self, name: str) -> Iterator[str]:
        yield name
        yield from self._ids_by_name.get(name, ())
        compact = _COMPACT_DATE.fullmatch(name)
        if compact:
            yield from self._ids_by_name.get("{stem}-{y}-{m}-{d}".format(**compact.groupdict()), ())
        snapshot = _SNAPSHOT.fullmatch(name)
        if snapshot:
            yield from self._ids_by_stem.get(snapshot["stem"], ())
