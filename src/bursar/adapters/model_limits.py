"""The models that the provider double serves, from the package's data files."""

import tomllib
from importlib import resources

import msgspec

from bursar.double.models import ModelCatalogue, ModelLimits


class _LimitsFile(msgspec.Struct, forbid_unknown_fields=True):
    models: tuple[ModelLimits, ...]


def load_model_limits() -> ModelCatalogue:
    """Load which models there are, and their limits."""
    text = (resources.files("bursar.data") / "model_limits.toml").read_text("utf-8")
    return ModelCatalogue(msgspec.convert(tomllib.loads(text), type=_LimitsFile).models)
