"""`[prices."MODEL"]` of bursar.toml: an operator's own prices, in USD per million tokens.

A model has one table, or an array of tables with rising `from` dates; the one that has started last
holds. Amounts are text, since a binary fraction cannot hold most of them.
"""

import difflib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from itertools import pairwise
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError

from bursar.domain.money import nusd_from_usd
from bursar.domain.price_book import Listing
from bursar.domain.prices import PER_MILLE, STANDARD, Price, PriceStep, Rates
from bursar.domain.usage import ServerTool, TokenClass
from bursar.errors import BadAmount

OPERATOR = "operator"

# Without the trap, digits beyond the context's precision would vanish before anybody could refuse them.
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow])

# One key sets both providers' short writes: a model is only ever served by one of them.
_CLASSES_BY_KEY: Mapping[str, tuple[TokenClass, ...]] = {
    "input": (TokenClass.INPUT,),
    "output": (TokenClass.OUTPUT,),
    "cache_read": (TokenClass.CACHE_READ,),
    "cache_write": (TokenClass.CACHE_WRITE_5M, TokenClass.CACHE_WRITE_30M),
    "cache_write_1h": (TokenClass.CACHE_WRITE_1H,),
    "cache_write_12h": (TokenClass.CACHE_WRITE_12H,),
    "reasoning": (TokenClass.REASONING,),
}


def _wrong(message: str) -> PydanticCustomError:
    # The message goes through a template, in which braces of the caller's own text would mean fields.
    return PydanticCustomError("price", "{message}", {"message": message})


def _read_usd(value: Any) -> int:
    if isinstance(value, float):
        raise _wrong(f'{value!r} is a binary fraction; quote the number: "{value}"')
    try:
        nusd = nusd_from_usd(value)
    except BadAmount as error:
        raise _wrong(str(error)) from None
    if nusd < 0:
        raise _wrong(f"{value!r} is negative; a price is zero or more")
    return nusd


def _read_factor(value: Any) -> int:
    if isinstance(value, float):
        raise _wrong(f'{value!r} is a binary fraction; quote the factor: "{value}"')
    try:
        per_mille = _EXACT.multiply(Decimal(value), PER_MILLE) if not isinstance(value, bool) else None
    except (ArithmeticError, TypeError, ValueError):
        per_mille = None
    if per_mille is None or not per_mille.is_finite() or per_mille != per_mille.to_integral_value():
        raise _wrong(f'{value!r} is no factor; write digits with up to three places, such as "0.5"')
    if not 0 < per_mille <= 100 * PER_MILLE:
        raise _wrong(f"{value!r} is out of bounds; a factor is above 0 and at most 100")
    return int(per_mille)


def _read_day(value: Any) -> date:
    if isinstance(value, datetime):
        raise _wrong(f"{value} has a time of day; prices change at midnight UTC, so write the day alone")
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(f"{value!r} is no day; write it as 2026-11-01") from None


def _list_one(value: Any) -> Any:
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise _wrong("a price is a table of amounts, or an array of such tables")
    return cast("Any", value)


Usd = Annotated[int, BeforeValidator(_read_usd)]
Factor = Annotated[int, BeforeValidator(_read_factor)]
Day = Annotated[date, BeforeValidator(_read_day)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise _wrong("a price is a table of amounts")
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in cast("dict[str, Any]", value):
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                mend = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
                raise _wrong(f'unknown setting "{key}"; {mend}')
        return cast("Any", value)


class StepEntry(_Table):
    """Rates for the whole request once its prompt is longer; those left out stay as they are."""

    above_tokens: Annotated[int, Field(gt=0)]
    input: Usd | None = None
    output: Usd | None = None
    cache_read: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    cache_write_12h: Usd | None = None
    reasoning: Usd | None = None


class PriceEntry(_Table):
    """A model's price from a day on, USD per million tokens.

    Attributes:
        starts: `from`: first day (UTC); absent: always.
        cache_write: The short write (5 minutes at Anthropic, 30 at OpenAI).
        reasoning: Absent: as output.
        steps: Longer prompts' rates.
        tiers: Factor on all token rates by tier, such as `{ batch = "0.5" }`.
        geos: Factor on all token rates by inference geography, such as `{ us = "1.1" }`.
        web_search: USD per 1,000 searches that the provider runs.
        web_fetch: USD per 1,000 fetches that the provider runs.
        source: Where the numbers come from.
        checked: When somebody last looked.
    """

    starts: Day | None = Field(default=None, alias="from")
    input: Usd
    output: Usd
    cache_read: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    cache_write_12h: Usd | None = None
    reasoning: Usd | None = None
    steps: tuple[StepEntry, ...] = ()
    tiers: dict[str, Factor] = Field(default_factory=dict)
    geos: dict[str, Factor] = Field(default_factory=dict)
    web_search: Usd | None = None
    web_fetch: Usd | None = None
    source: str = OPERATOR
    checked: Day | None = None

    @model_validator(mode="after")
    def _check_steps(self) -> "PriceEntry":
        for lower, higher in pairwise(self.steps):
            if higher.above_tokens <= lower.above_tokens:
                raise _wrong(f"steps must rise, but {higher.above_tokens} follows {lower.above_tokens}")
        return self

    def price(self, model: str) -> Price:
        """Return it as a `Price` of `model`."""
        rates = _rates(self, {})
        return Price(
            model=model,
            starts=self.starts,
            rates=rates,
            steps=tuple(PriceStep(step.above_tokens, _rates(step, rates)) for step in self.steps),
            tool_fees={
                tool: fee
                for tool, fee in (
                    (ServerTool.WEB_SEARCH, self.web_search),
                    (ServerTool.WEB_FETCH, self.web_fetch),
                )
                if fee is not None
            },
            tier_per_mille={STANDARD: PER_MILLE, **self.tiers},
            geo_per_mille=dict(self.geos),
            source=self.source,
            checked=self.checked,
        )


def _rates(entry: PriceEntry | StepEntry, base: Rates) -> Rates:
    rates = dict(base)
    for key, token_classes in _CLASSES_BY_KEY.items():
        rate: int | None = getattr(entry, key)
        if rate is not None:
            rates.update(dict.fromkeys(token_classes, rate))
    return rates


def _check_dates(entries: tuple[PriceEntry, ...]) -> tuple[PriceEntry, ...]:
    if not entries:
        raise _wrong("has no price")
    for earlier, later in pairwise(entries):
        if later.starts is None or (earlier.starts is not None and later.starts <= earlier.starts):
            raise _wrong(
                f"`from` dates must rise, but {later.starts or 'an entry without one'} follows "
                f"{earlier.starts or 'an entry without one'}"
            )
    return entries


DatedEntries = Annotated[tuple[PriceEntry, ...], BeforeValidator(_list_one), AfterValidator(_check_dates)]


class PriceSection(RootModel[dict[str, DatedEntries]]):
    """`[prices]`: dated prices by model id."""

    model_config = ConfigDict(frozen=True)
    root: dict[str, DatedEntries] = Field(default_factory=dict)

    def listings(self) -> tuple[Listing, ...]:
        """Return the models as a layer of the price book; each also stands for its dated snapshots."""
        return tuple(
            Listing(
                model=model,
                prices=tuple(entry.price(model) for entry in entries),
                snapshots_of=frozenset({model.lower()}),
            )
            for model, entries in self.root.items()
        )
