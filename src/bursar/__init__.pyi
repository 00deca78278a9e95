from bursar.wiring.batching import batch as batch

__all__ = ["__version__", "batch"]

__version__: str
