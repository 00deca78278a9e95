"""Bursar: the cost engine for LLM agents.

Importing the package is cheap: it takes in no web framework, database driver, tokenizer or network client.
The command line (`bursar --help`) is the way in; `docs/architecture.md` is the map of the inside.
"""

__version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        # Reading it takes some 30 ms, so it is done when somebody asks for it.
        from importlib import metadata  # noqa: PLC0415 - as above

        return metadata.version("bursar")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
