"""What is known of each model's prompt cache."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Self

from bursar.domain.model_ids import ModelTable
from bursar.domain.usage import TokenClass

_EPOCH = date(1970, 1, 1)
_DAY_S = 86_400


class CacheKind(StrEnum):
    """Ways in which prompt caches work; see the package's docstring."""

    ANTHROPIC = "anthropic"
    OPENAI_AUTOMATIC = "openai_automatic"
    OPENAI_MARKS = "openai_marks"


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How the cache of one model, or family of models, behaves from a date on.

    Attributes:
        model: Its id, or a family such as `claude-*` (see `ModelTable`).
        kind: Which way it works.
        minimum_tokens: Shorter prefixes are neither read nor written.
        minimum_assumed: Whether no source gives that minimum.
        ttls_s: How long an entry lives after it was last used, in seconds, by name of time to live.
        write_classes: How a write is billed, by the same names; `INPUT` where writes are free.
        default_ttl: The name that holds where a mark or request states none.
        marks_max: Marks that one request may set; of more, the last ones count.
        lookback_blocks: Blocks before a mark at which it still finds an entry (`ANTHROPIC`).
        matching_marks: Breakpoints at which entries are looked for, the latest first (`OPENAI_MARKS`).
        step_tokens: A read is rounded down to whole steps of this many (`OPENAI_AUTOMATIC`).
        starts: First day (UTC) on which this holds; None for always.
        source: Where the numbers come from.
        checked: When somebody last looked.
    """

    model: str
    kind: CacheKind
    minimum_tokens: int
    minimum_assumed: bool
    ttls_s: Mapping[str, int]
    write_classes: Mapping[str, TokenClass]
    default_ttl: str
    marks_max: int = 0
    lookback_blocks: int = 0
    matching_marks: int = 0
    step_tokens: int = 1
    starts: date | None = None
    source: str = ""
    checked: date | None = None

    def counted_by(self, per_mille: int) -> Self:
        """Return these rules for a count of which the provider's own is `per_mille` thousandths."""
        return replace(self, minimum_tokens=-(-self.minimum_tokens * 1000 // per_mille))

    def ttl(self, name: str | None) -> str:
        """Return a time to live that these rules know: the one named, or else the default.

        A client may write anything; its provider refuses what it does not know, so what we make of it
        matters to nobody's bill.
        """
        return name if name is not None and name in self.ttls_s else self.default_ttl


class CacheRuleBook:
    """Rules by model and date.

    Args:
        rules: All rules. Several of one model differ in the day on which they start.
    """

    def __init__(self, rules: Iterable[CacheRules]) -> None:
        dated: defaultdict[str, list[tuple[int, CacheRules]]] = defaultdict(list)
        for each in rules:
            # Days since the epoch: comparing integers keeps calendars off the hot path.
            first_day = (each.starts - _EPOCH).days if each.starts is not None else -_DAY_S
            dated[each.model].append((first_day, each))
        for versions in dated.values():
            versions.sort(key=lambda version: -version[0])
        self._table = ModelTable(dated.items())

    def rules(self, model: str, at_s: float) -> CacheRules | None:
        """Return the rules in force for a model, or None where it is taken to have no cache.

        Args:
            model: The model's id.
            at_s: When the request starts, in seconds since the epoch.
        """
        today = at_s // _DAY_S
        for first_day, rules in self._table.find(model) or ():
            if first_day <= today:
                return rules
        return None
