"""What is known of models beyond their prices, from the package's data files."""

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib import resources
from typing import TypeVar

import msgspec

from bursar.cachemodel.rules import CacheKind, CacheRuleBook, CacheRules
from bursar.domain.prompt import ContentClass
from bursar.domain.tokens import Basis, Overhead, RatioBook, TokenRatios
from bursar.domain.usage import TokenClass

T = TypeVar("T")


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A table whose misspelt keys are refused."""


class _KindTable(_Strict):
    default_ttl: str
    ttls_s: Mapping[str, int]
    write_classes: Mapping[str, TokenClass]
    source: str
    checked: date
    marks_max: int = 0
    lookback_blocks: int = 0
    matching_marks: int = 0
    step_tokens: int = 1


class _ModelTable(_Strict):
    model: str
    kind: CacheKind
    minimum_tokens: int
    source: str
    checked: date
    assumed: bool = False
    default_ttl: str | None = None
    starts: date | None = None


class _CacheFile(_Strict):
    kinds: Mapping[CacheKind, _KindTable]
    models: tuple[_ModelTable, ...]


class _EraTable(_Strict):
    name: str
    basis: Basis
    per_mille: Mapping[ContentClass, int]
    source: str
    checked: date
    overhead: Overhead
    models: tuple[str, ...] = ()

    def ratios(self) -> TokenRatios:
        return TokenRatios(self.name, self.per_mille, self.basis, self.overhead)


class _RatioFile(_Strict):
    eras: tuple[_EraTable, ...]
    unknown: _EraTable


def load_cache_rules() -> CacheRuleBook:
    """Load what is known of prompt caches."""
    file = _load("cache_rules.toml", _CacheFile)
    return CacheRuleBook([_rules(model, file.kinds[model.kind]) for model in file.models])


def load_token_ratios() -> RatioBook:
    """Load the ratios from o200k tokens to each model era's."""
    file = _load("token_ratios.toml", _RatioFile)
    rows = [(model, era.ratios()) for era in file.eras for model in era.models]
    return RatioBook(rows, file.unknown.ratios())


def _rules(model: _ModelTable, kind: _KindTable) -> CacheRules:
    return CacheRules(
        model=model.model,
        kind=model.kind,
        minimum_tokens=model.minimum_tokens,
        minimum_assumed=model.assumed,
        ttls_s=kind.ttls_s,
        write_classes=kind.write_classes,
        default_ttl=model.default_ttl or kind.default_ttl,
        marks_max=kind.marks_max,
        lookback_blocks=kind.lookback_blocks,
        matching_marks=kind.matching_marks,
        step_tokens=kind.step_tokens,
        starts=model.starts,
        source=f"{model.source}; {kind.source}",
        checked=min(model.checked, kind.checked),
    )


def _load(name: str, shape: type[T]) -> T:
    text = (resources.files("bursar.data") / name).read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), type=shape)
