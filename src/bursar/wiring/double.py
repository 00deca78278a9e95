"""Builds the provider double."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from bursar.adapters.batch_limits import load_batch_limits
from bursar.adapters.clock import WallClock
from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.adapters.model_limits import load_model_limits
from bursar.adapters.price_data import load_price_book
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.double.app import DoubleApp
from bursar.double.batches.desk import BatchDesk
from bursar.double.batches.jobs import JobOptions
from bursar.double.calls import DoubleOptions
from bursar.double.labels import LabelBook
from bursar.double.provider import ProviderDouble, Provisions
from bursar.double.transcripts import TranscriptBook
from bursar.errors import BadLine, BadRequest, BadSetting


def build_double(
    options: DoubleOptions, transcripts: TranscriptBook | None = None, labels: LabelBook | None = None
) -> ProviderDouble:
    """Build a provider double on the package's own data."""
    return ProviderDouble(
        Provisions(
            prices=load_price_book(),
            rules=load_cache_rules(),
            ratios=load_token_ratios(),
            models=load_model_limits(),
            tokenizer=SplintrTokenizer(),
            transcripts=transcripts or TranscriptBook(),
            labels=labels or LabelBook(),
        ),
        options,
    )


@dataclass(frozen=True, slots=True)
class Course:
    """What a double answers from, and how its jobs go.

    Attributes:
        transcripts: Files of recorded conversations.
        tools: File with the tools that those conversations' agents have; None to take any.
        labels: File of items with their right answers; None for none.
        label_fault_rate: Share of those items that are answered wrongly where several are asked at once.
        jobs: How jobs of the batch APIs go.
    """

    transcripts: Sequence[Path] = ()
    tools: Path | None = None
    labels: Path | None = None
    label_fault_rate: float = 0.0
    jobs: JobOptions = field(default_factory=JobOptions)


def build_double_app(options: DoubleOptions, course: Course, *, time_scale: float) -> DoubleApp:
    """Build the ASGI application that serves a double.

    Args:
        options: How the provider behaves.
        course: What it answers from, and how its jobs go.
        time_scale: How many seconds pass for its caches in one of the wall's.

    Raises:
        BadSetting: A file cannot be read.
        BadLine: A line of it cannot.
    """
    transcripts = read_transcripts(course.transcripts, course.tools)
    labels = LabelBook(course.label_fault_rate)
    if course.labels is not None:
        _read_each(course.labels, "--labels", labels.add)
    provider = build_double(options, transcripts, labels)
    return DoubleApp(provider, WallClock(time_scale), BatchDesk(provider, course.jobs, load_batch_limits()))


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
        _read_each(path, "--transcripts", book.add)
    return book


def _read_each(path: Path, place: str, take: Callable[[Mapping[str, Any]], None]) -> None:
    """Give every line of a file, a JSON object, to whoever takes it."""
    for number, line in enumerate(_read_bytes(path, place).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadLine(f"is no JSON: {error}", file=str(path), line=number) from None
        if not isinstance(found, dict):
            raise BadLine("is no JSON object", file=str(path), line=number)
        try:
            take(cast("dict[str, Any]", found))
        except BadRequest as error:
            raise BadLine(str(error), file=str(path), line=number) from None


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
