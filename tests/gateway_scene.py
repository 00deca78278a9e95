"""A gateway whose provider, clock and ledger are scripted."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from bursar.gateway.app import Gateway, GatewayOptions, Lifetime
from bursar.gateway.health import Health
from scripted_world import Answer, Scene


class GatewayScene(Scene):
    """A scene with a gateway in front.

    Args:
        answers: What the provider does, call by call.
        options: Those of `GatewayOptions` but budgets, `admit` for the ledger's failures, and those of
            `make_engine`.
    """

    def __init__(self, *answers: Answer, admit: bool = False, **options: Any) -> None:
        own = {
            "body_limit_bytes": options.pop("body_limit_bytes", 1 << 20),
            "provider_keys": options.pop("provider_keys", {}),
            "forward_attribution": options.pop("forward_attribution", frozenset[str]()),
        }
        own |= {name: options.pop(name) for name in ("guard", "hosts", "body_timeout_s") if name in options}
        super().__init__(*answers, **options)
        self.is_well = True
        self.resources = AsyncExitStack()
        self.chores: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.health = Health(
            store_is_well=lambda: self.is_well, metrics=lambda: b"metrics\n", admit_without_store=admit
        )
        self.app = Gateway(
            self.engine,
            self.world,
            GatewayOptions(**own),
            self.health,
            lifetime=Lifetime(self.resources, self.chores),
        )
