"""Bursar: the cost engine for LLM agents.

Importing the package is cheap: it takes in no web framework, database driver, tokenizer or network client.
The command line (`bursar --help`) is the way in, and `bursar.batch` answers many items in few calls;
`docs/architecture.md` is the map of the inside. Types of the names here are in `__init__.pyi`.
"""

__version__: str
batch: object

__all__ = ["__version__", "batch"]


def __getattr__(name: str) -> object:
    from importlib import import_module, metadata  # noqa: PLC0415 - they take longer than all of the rest

    if name == "__version__":
        # Reading it takes some 30 ms, so it is done when somebody asks for it.
        return metadata.version("bursar")
    if name == "batch":
        # By name: the package itself stands below what it offers here, and imports none of it.
        return import_module("bursar.wiring.batching").batch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
