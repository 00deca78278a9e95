"""Which models there are, and their limits, from the package's data files."""

import tomllib
from importlib import resources

import msgspec

from bursar.domain.windows import Window, WindowBook
from bursar.double.models import ModelCatalogue, ModelLimits


class _LimitsFile(msgspec.Struct, forbid_unknown_fields=True):
    models: tuple[ModelLimits, ...]


def load_model_limits() -> ModelCatalogue:
    """Load which models the provider double serves, and their limits."""
    return ModelCatalogue(_read())


def load_windows() -> WindowBook:
    """Load how long models' prompts and answers may be, and how a request may limit these."""
    return WindowBook([_window(limits) for limits in _read()])


def longest_output_tokens() -> int:
    """Return how long the longest answer of any known model may be."""
    return max(limits.output_tokens_max for limits in _read())


def _window(limits: ModelLimits) -> Window:
    return Window(
        model=limits.model,
        dialect=limits.dialect,
        context_tokens=limits.context_tokens,
        output_tokens_max=limits.output_tokens_max,
        reasons=limits.reasons,
        efforts=limits.efforts,
        stops=limits.stops,
    )


def _read() -> tuple[ModelLimits, ...]:
    text = (resources.files("bursar.data") / "model_limits.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), type=_LimitsFile).models
