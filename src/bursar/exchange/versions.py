"""Versions of a request: with other content, and laid out."""

from collections.abc import Generator
from typing import Any

import msgspec

from bursar.domain.layout import Layout, lay_out
from bursar.effects import Count, Effect
from bursar.exchange.call import Call
from bursar.exchange.engine import Engine
from bursar.wire.dialect import Reading, Request


class Split(msgspec.Struct, frozen=True, gc=False):
    """Where a version's text stands in two blocks.

    Attributes:
        whole: The prompt with the text in one.
        block: Number of the first of the two.
        name: Names the beginning of the text that it holds (`view.beginnings`).
    """

    whole: Layout
    block: int
    name: bytes


class Version(msgspec.Struct, frozen=True, gc=False):
    """A request with content that could go out.

    Attributes:
        request: The request.
        layout: Its prompt.
        split: The text that was split, if one was.
    """

    request: Request
    layout: Layout
    split: Split | None = None


def finish_reading(reading: Reading) -> Generator[Effect, Any, Request]:
    """Return the request that was read; texts that are new are counted first."""
    counts: list[int] = (yield Count(reading.texts)) if reading.texts else []
    return reading.finish(counts)


def with_messages(
    engine: Engine, call: Call, version: Version, messages: bytes, name: bytes
) -> Generator[Effect, Any, Version]:
    """Return a version with other messages.

    Args:
        engine: What is known.
        call: The call.
        version: A version of it.
        messages: Raw JSON of the messages.
        name: Which version it is then.

    Yields:
        The counting of texts that are new.
    """
    request = yield from finish_reading(call.dialect.reread(version.request, messages, engine.memo))
    return Version(request, lay_out_version(engine, call, request, name))


def lay_out_version(engine: Engine, call: Call, request: Request, name: bytes) -> Layout:
    """Lay a prompt out, going on from the thread's last call, or else from the agent's last new thread.

    Args:
        engine: What is known.
        call: The call.
        request: It, or another version of it,
        name: and which; empty for the call as it came.
    """
    layouts = engine.layouts
    scope, start = _scope(engine, call), call.place.start + name
    known = layouts.get(start)
    layout = lay_out(
        request.prompt,
        scope=scope,
        ratios=engine.ratios.ratios(request.model),
        known=known if known is not None else layouts.get(scope),
    )
    layouts.keep(start, layout)
    if known is None:
        layouts.keep(scope, layout)
    return layout


def _scope(engine: Engine, call: Call) -> bytes:
    """Name the cache that a call meets: base URL, account and model."""
    base_url = engine.options.upstreams[call.arrival.upstream].base_url
    return call.arrival.credential + f"{base_url}\0{call.request.model}".encode("utf-8", "surrogatepass")
