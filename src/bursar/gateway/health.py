"""What the gateway answers about itself."""

from collections.abc import Callable
from dataclasses import dataclass

from bursar.effects import Reply

_TEXT = {"content-type": "text/plain; charset=utf-8"}


@dataclass(slots=True)
class Health:
    """Liveness, readiness and metrics.

    Attributes:
        store_is_well: Whether the ledger can be written.
        metrics: Writes all metrics in Prometheus's text form.
        admit_without_store: Whether calls are taken while the ledger cannot be written.
        store_has_room: Whether a further entry could be kept until the ledger can be written.
        ready: Whether start-up is over and shutdown has not begun.
    """

    store_is_well: Callable[[], bool]
    metrics: Callable[[], bytes]
    admit_without_store: bool
    store_has_room: Callable[[], bool] = lambda: True
    ready: bool = False

    @property
    def accepting(self) -> bool:
        """Whether calls are taken."""
        return self.store_is_well() or (self.admit_without_store and self.store_has_room())

    def answer(self, method: str, path: str) -> Reply | None:
        """Answer a path of our own; None for all others."""
        if path not in {"/health/live", "/health/ready", "/metrics"}:
            return None
        if method not in {"GET", "HEAD"}:
            return Reply(405, {**_TEXT, "allow": "GET"}, b"use GET\n")
        if path == "/metrics":
            return Reply(200, _TEXT, self.metrics())
        if path == "/health/live":
            return Reply(200, _TEXT, b"live\n")
        if not self.ready:
            return Reply(503, _TEXT, b"starting or stopping\n")
        if not self.accepting:
            return Reply(503, _TEXT, b"the ledger cannot be written\n")
        return Reply(200, _TEXT, b"ready\n")
