"""Builds and serves the provider double."""

import gc
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from bursar.adapters.clock import WallClock
from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.adapters.model_limits import load_model_limits
from bursar.adapters.price_data import load_price_book
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.double.app import DoubleApp
from bursar.double.calls import DoubleOptions
from bursar.double.provider import ProviderDouble, Provisions
from bursar.double.transcripts import TranscriptBook
from bursar.errors import BadLine, BadRequest, BadSetting


@dataclass(frozen=True, slots=True)
class DoubleServing:
    """Where and how the double is served.

    Attributes:
        host: Address to listen on.
        port: Port; 0 for a free one.
        options: How the provider behaves.
        transcripts: Files of recorded conversations.
        tools: File with the tools that those conversations' agents have; None to take any.
        time_scale: How many seconds pass for it in one of the wall's.
    """

    host: str = "127.0.0.1"
    port: int = 0
    options: DoubleOptions = field(default_factory=DoubleOptions)
    transcripts: Sequence[Path] = ()
    tools: Path | None = None
    time_scale: float = 1.0


def build_double(options: DoubleOptions, transcripts: TranscriptBook | None = None) -> ProviderDouble:
    """Build a provider double on the package's own data."""
    return ProviderDouble(
        Provisions(
            prices=load_price_book(),
            rules=load_cache_rules(),
            ratios=load_token_ratios(),
            models=load_model_limits(),
            tokenizer=SplintrTokenizer(),
            transcripts=transcripts or TranscriptBook(),
        ),
        options,
    )


def serve_double(serving: DoubleServing, announce: Callable[[str], None]) -> None:
    """Serve a double until interrupted.

    Args:
        serving: Where and how.
        announce: Told the URL once connections are taken.

    Raises:
        BadSetting: The port is in use, or the address is none of ours.
        BadLine: A transcript cannot be read.
    """
    import uvicorn  # noqa: PLC0415 - a server belongs to serving, not to building a double

    book = read_transcripts(serving.transcripts, serving.tools)
    listener = _listen(serving.host, serving.port)
    app = DoubleApp(build_double(serving.options, book), WallClock(serving.time_scale))
    config = uvicorn.Config(
        cast("Any", app),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        # A connection that is cut on purpose is an error to the server, and none to us.
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    # What is there now stays for good; looking through it again and again only costs time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    port = listener.getsockname()[1]
    announce(f"http://{serving.host}:{port}")
    uvicorn.Server(config).run(sockets=[listener])


def read_transcripts(files: Sequence[Path], tools: Path | None) -> TranscriptBook:
    """Read recorded conversations.

    Args:
        files: JSONL, one conversation a line.
        tools: JSON array of tools, in OpenAI's form; None to take calls of any tool.

    Raises:
        BadSetting: A file cannot be read.
        BadLine: A line of it cannot.
    """
    book = TranscriptBook(_tool_names(tools) if tools is not None else None)
    for path in files:
        for number, line in enumerate(_read_bytes(path, "--transcripts").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                transcript = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BadLine(f"is no JSON: {error}", file=str(path), line=number) from None
            if not isinstance(transcript, dict):
                raise BadLine("is no JSON object", file=str(path), line=number)
            try:
                book.add(cast("dict[str, Any]", transcript))
            except BadRequest as error:
                raise BadLine(str(error), file=str(path), line=number) from None
    return book


def _tool_names(path: Path) -> frozenset[str]:
    try:
        tools = cast("list[dict[str, Any]]", orjson.loads(_read_bytes(path, "--tools")))
        return frozenset(tool["function"]["name"] if "function" in tool else tool["name"] for tool in tools)
    except orjson.JSONDecodeError as error:
        raise BadSetting(f"{path} is no JSON: {error}", place="--tools") from None
    except (KeyError, TypeError):
        raise BadSetting(f"{path} is no array of tools, each with a name", place="--tools") from None


def _read_bytes(path: Path, place: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSetting(f"cannot read {path}: {error.strerror}", place=place) from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise BadSetting(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port, or 0 for a free one",
            place="--port",
        ) from None
    listener.settimeout(0)
    return listener
