"""Checks a batch, and everything that can be known of it before a first call is paid for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from bursar.adapters.batch.destination import Destination
from bursar.adapters.model_data import load_token_ratios
from bursar.adapters.model_limits import load_windows
from bursar.domain.json_schema import JsonSchema
from bursar.domain.prompt import ContentClass
from bursar.domain.windows import Window
from bursar.errors import BadLine, BadSetting, CallerMistake
from bursar.policy.batch.items import Item
from bursar.policy.batch.prompt import Assignment
from bursar.policy.batch.sizing import SizeLimits

DEFAULT_MODEL = "claude-haiku-4-5"
DEFAULT_GATEWAY = "http://127.0.0.1:4100"

_ANTHROPIC, _OPENAI = "anthropic.messages", "openai.chat"
_KEY_VARIABLES = {_ANTHROPIC: "ANTHROPIC_API_KEY", _OPENAI: "OPENAI_API_KEY"}
_OWN_KEY_VARIABLE = "BURSAR_KEY"

# A model of which nothing is known is asked cautiously; operators' own models may well be small.
_UNKNOWN_CONTEXT_TOKENS = 32_000
_UNKNOWN_OUTPUT_TOKENS = 4_096

# What an OpenAI model that always reasons may use up before it writes.
_REASONING_TOKENS = 8_000

Via = Literal["calls", "provider"]


class BatchOptions(TypedDict, total=False):
    """How a batch is run; all of it may be left out.

    Attributes:
        gateway: URL of Bursar's gateway; http://127.0.0.1:4100 where neither it nor `upstream` is given.
        upstream: Base URL of a provider that is asked itself, as its SDK takes it.
        size: Items of a call; `"auto"` (the default) finds out.
        journal: A file to which the batch's state is written, so that a further run goes on where this one
            ended; None for no such thing.
        concurrency: Calls under way at a time.
        dialect: `anthropic.messages` or `openai.chat`; without it, the model's own.
        labels: Attribution for the gateway: tenant, agent, task, conversation, user, tags.
        ask_unseen: Whether calls that were sent to a provider, and whose answers a crash has lost, are asked
            again though that may be paid twice.
        via: `"calls"` (the default), or `"provider"` for the provider's own batch API, at half the price.
        poll_s: How often a provider's job is looked at.
        again: Whether items that have failed in earlier runs are asked again.
    """

    gateway: str | None
    upstream: str | None
    size: int | str
    journal: str | os.PathLike[str] | None
    concurrency: int
    dialect: str | None
    labels: Mapping[str, str]
    ask_unseen: bool
    via: Via
    poll_s: float
    again: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that is ready to run.

    Attributes:
        items: What is to be answered.
        assignment: What is to be done with it.
        destination: Who is asked.
        limits: What bounds a call.
        options: How it is run.
    """

    items: list[Item]
    assignment: Assignment
    destination: Destination
    limits: SizeLimits
    options: BatchOptions


def make_plan(
    items: list[Item], instruction: str, schema: JsonSchema, model: str, options: BatchOptions
) -> Plan:
    """Check a batch, and everything that can be known before a first call is paid for.

    Raises:
        CallerMistake: It cannot be run; the message says how to mend it.
    """
    if not items:
        raise CallerMistake(
            "there are no items; give at least one, a JSON object with an id, on a line of its own"
        )
    dialect = options.get("dialect") or load_windows().dialect_of(model)
    if dialect not in _KEY_VARIABLES:
        raise BadSetting(f'"{dialect}" is none of {", ".join(_KEY_VARIABLES)}', place="dialect")
    destination = destination_of(dialect, options)
    if options.get("via") == "provider" and destination.is_gateway:
        raise BadSetting(
            "the gateway passes no jobs on, since it could not meter them; name the provider by --upstream",
            place="--via provider",
        )
    is_marked = not destination.is_gateway and options.get("via") != "provider"
    assignment = Assignment(instruction, schema, model, dialect, marked=is_marked)
    window = load_windows().find(dialect, model)
    limits = _limits(assignment, window, options.get("size", "auto"))
    _check_lengths(items, assignment, window, limits)
    return Plan(items, assignment, destination, limits, options)


def destination_of(dialect: str, options: BatchOptions) -> Destination:
    """Return who is asked.

    Raises:
        BadSetting: Nobody can be, since a URL or a key is wrong or missing.
    """
    gateway, upstream = options.get("gateway"), options.get("upstream")
    if gateway and upstream:
        raise BadSetting("a batch goes to a gateway or to an upstream, not to both", place="upstream")
    key = os.environ.get(_KEY_VARIABLES[dialect], "")
    if upstream:
        if not key:
            raise BadSetting("is not set: it is to hold the provider's key", place=_KEY_VARIABLES[dialect])
        return Destination(_checked_url(upstream), dialect, is_gateway=False, provider_key=key)
    base_url = _checked_url(gateway or DEFAULT_GATEWAY).removesuffix("/v1")
    return Destination(
        base_url=base_url if dialect == _ANTHROPIC else f"{base_url}/v1",
        dialect=dialect,
        is_gateway=True,
        provider_key=key,
        own_key=os.environ.get(_OWN_KEY_VARIABLE, ""),
        labels=options.get("labels") or {},
    )


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise BadSetting(f'"{url}" is no URL; write one such as {DEFAULT_GATEWAY}', place="upstream")
    return url.rstrip("/")


def _limits(assignment: Assignment, window: Window | None, size: int | str) -> SizeLimits:
    context = window.context_tokens if window else _UNKNOWN_CONTEXT_TOKENS
    instruction_bytes = len(assignment.instructions.encode())
    reasons = window is not None and window.reasons
    return SizeLimits(
        fixed=_fixed_size(size),
        output_tokens_max=window.output_tokens_max if window else _UNKNOWN_OUTPUT_TOKENS,
        # Half of what is left is for the answer. A token is a byte at least.
        items_bytes_max=max(1, (context - instruction_bytes) // 2),
        reasoning_tokens=_REASONING_TOKENS if reasons else 0,
    )


def _fixed_size(size: int | str) -> int | None:
    if size == "auto":
        return None
    text = str(size)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 1_000:
        raise BadSetting(f'"{size}" is neither "auto" nor a number from 1 to 1000', place="size")
    return int(text)


def _check_lengths(
    items: list[Item], assignment: Assignment, window: Window | None, limits: SizeLimits
) -> None:
    """Refuse an item that the model's window cannot hold, before anything is paid for.

    Raises:
        BadLine: There is one.
    """
    long = [item for item in items if len(item.text.encode()) > limits.items_bytes_max]
    if window is None or not long:
        return
    # Only long items are counted: a text of fewer bytes than that fits in any case.
    from bursar.adapters.tokenizer import SplintrTokenizer  # noqa: PLC0415 - it is hardly ever needed

    ratios = load_token_ratios().ratios(assignment.model)
    instruction, *counts = SplintrTokenizer().count([assignment.instructions, *[item.text for item in long]])
    for item, count in zip(long, counts, strict=True):
        tokens = ratios.convert(instruction + count, ContentClass.JSON)
        if tokens > window.context_tokens:
            raise BadLine(
                f"takes about {tokens:,} tokens with the instruction, and {assignment.model} reads "
                f"{window.context_tokens:,} at most; split it, or use a model with a longer window",
                file="ITEMS",
                line=item.line,
            )
