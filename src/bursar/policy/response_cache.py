"""The response cache, exact: the very same request gets the very same answer, where that is wanted.

Which calls: those at temperature 0 (said, not assumed), those of configured tasks, and those that ask by
header. A call that can act is left alone unless it asks, or all its tools are named as safe: with tools, with
the provider's own servers or stores, and with `n` > 1, which asks for variety. A tool result among the
messages changes nothing: the request is still the same one. `x-bursar-cache: off` always wins.

Which answers: complete ones with usage that ended by themselves in every choice. An answer that was cut at
its output limit is kept at temperature 0 only, where the same request would be cut there again; else luck
would be kept. Errors, refusals, filtered and paused answers never.

What is the same: all of the request but what cannot change the answer (`_IDLE_FIELDS`), however its JSON is
written (`wire.canonical`), under the same tenant, account, provider and versions of its API.
"""

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from bursar.domain.prompt import Place, Section
from bursar.errors import BadRequest
from bursar.wire import raw_json as raw
from bursar.wire.canonical import canonical, is_canonical
from bursar.wire.dialect import Answer, Dialect, Edits, Request
from bursar.wire.replaying import Ending, as_stream, as_whole, read_ending

# They say how an answer is to be delivered, billed, cached or filed, not what it is.
_IDLE_FIELDS = frozenset(
    {
        "cache_control",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "stream",
        "stream_options",
        "user",
    }
)
# Headers that change what an answer is, beside the account's (`Space.account`).
_VERSION_HEADERS = (
    "anthropic-beta",
    "anthropic-version",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "openai-version",
)
# With these, a call does or reads more than its own request says.
_ACTING_FIELDS = ("container", "functions", "mcp_servers", "web_search_options")

_NUMBER = msgspec.json.Decoder(float)
_TOOLS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_FUNCTION = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAME = msgspec.json.Decoder(str)


class Wish(StrEnum):
    """What a call's `x-bursar-cache` header asks for."""

    UNSAID = ""
    ON = "on"
    OFF = "off"


class Standing(StrEnum):
    """Whether a call takes part in the response cache, and why."""

    ASKED = "asked by header"
    TASK = "its task is configured"
    TEMPERATURE_0 = "temperature 0"
    NOT_ASKED = "neither temperature 0, nor a configured task, nor asked by header"
    DECLINED = "declined by header"
    DISABLED = "switched off"
    ACTS = "it can act: it has tools that are not named as safe"
    VARIES = "it asks for several choices"
    WARMS = "it only warms the provider's cache"

    @property
    def takes_part(self) -> bool:
        """Whether the call may be answered from the cache, join another, and be kept."""
        return self in {Standing.ASKED, Standing.TASK, Standing.TEMPERATURE_0}


class CacheUse(StrEnum):
    """What the response cache did for a call, as `x-bursar-cache` says it in the answer."""

    OFF = "off"  # The call takes no part in it.
    MISS = "miss"  # The call was made.
    HIT = "hit"
    JOINED = "joined"  # An identical call was in flight, and its answer is this call's too.


class ResponseCacheOptions(msgspec.Struct, frozen=True):
    """The operator's settings for one agent.

    Attributes:
        enabled: Whether there is a response cache at all.
        temperature_0: Whether calls at temperature 0 take part unasked.
        tasks: Tasks whose calls take part.
        safe_tools: Names of tools without side effects.
        ttl_s: How long an answer is kept, in seconds.
        answer_bytes_max: Longer answers are not kept.
    """

    enabled: bool = True
    temperature_0: bool = True
    tasks: frozenset[str] = frozenset()
    safe_tools: frozenset[str] = frozenset()
    ttl_s: float = 3_600.0
    answer_bytes_max: int = 1 << 20


class Space(msgspec.Struct, frozen=True):
    """Within what two requests may be the same.

    Attributes:
        tenant: Whose call it is.
        account: Digest of the credential that it is made with: who knows a tenant's name but not its key
            must not read its answers.
        upstream: Name of the provider section that it goes to.
        path: Path and query below the provider's base URL.
        headers: The client's headers, names in lower case; only those that change answers are looked at.
    """

    tenant: str
    account: bytes
    upstream: str
    path: str
    headers: Mapping[str, str]


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An answer as it is kept.

    Attributes:
        dialect: Name of the dialect that it is written in.
        streamed: Whether `content` is a stream's bytes; else it is a whole body.
        content: What the provider sent.
        kept_at_s: When it was kept, in seconds since the epoch.
    """

    dialect: str
    streamed: bool
    content: bytes
    kept_at_s: float

    def told(self, *, streamed: bool) -> bytes | None:
        """Return the content in the form that is asked for; None where it cannot be told so."""
        if streamed == self.streamed:
            return self.content
        return as_stream(self.dialect, self.content) if streamed else as_whole(self.dialect, self.content)


_KEPT = msgspec.msgpack.Decoder(KeptAnswer)


def read_wish(headers: Mapping[str, str]) -> Wish:
    """Read what a call asks for.

    Raises:
        BadRequest: The header says neither `on` nor `off`.
    """
    value = headers.get("x-bursar-cache")
    if value is None:
        return Wish.UNSAID
    value = value.strip().lower()
    try:
        return Wish(value)
    except ValueError:
        raise BadRequest(f'{value[:40]!r} is neither "on" nor "off"', place="x-bursar-cache") from None


def judge_call(request: Request, task: str, wish: Wish, options: ResponseCacheOptions) -> Standing:
    """Say whether a call takes part in the cache.

    Args:
        request: What is asked.
        task: Its task; empty where unsaid.
        wish: What its header asks for.
        options: The operator's settings for its agent.
    """
    if not options.enabled:
        return Standing.DISABLED
    if wish is Wish.OFF:
        return Standing.DECLINED
    if request.max_tokens == 0:
        return Standing.WARMS
    if wish is Wish.ON:
        return Standing.ASKED
    if task and task in options.tasks:
        reason = Standing.TASK
    elif options.temperature_0 and _is_at_temperature_0(request):
        reason = Standing.TEMPERATURE_0
    else:
        return Standing.NOT_ASKED
    if _acts(request, options.safe_tools):
        return Standing.ACTS
    if request.fields.get("n", b"1") not in {b"1", b"null"}:
        return Standing.VARIES
    return reason


def request_key(request: Request, dialect: Dialect, space: Space) -> bytes:
    """Name all requests that are the same as this one, by 32 bytes that nobody can forge.

    Top-level fields may come in any order, and blanks between tokens and needless escapes do not count, nor
    do cache marks. All else does, also the order of keys below the top, since it may reach the model, and
    how a number is written.

    SHA-256, not the digests of the prompt's blocks: those can be made to collide at will, so that one end
    user could plant an answer to another's question. 30 KB take about 19 µs by SHA-256, which processors
    have instructions for, and 49 by BLAKE2b (CPython 3.11, checked 2026-11-24).
    """
    named = [space.tenant, space.upstream, space.path, request.dialect]
    named += [space.headers.get(name, "") for name in _VERSION_HEADERS]
    parts = [space.account, *(name.encode("utf-8", "surrogatepass") for name in named)]
    names = sorted(request.fields.keys() - _IDLE_FIELDS)
    fields = _unmarked_fields(request, dialect)
    if not is_canonical([request.fields[name] for name in names]):
        fields = {name: canonical(fields[name]) for name in names}
    for name in names:
        parts += (name.encode("utf-8", "surrogatepass"), fields[name])
    # In MessagePack, which states their number and lengths: no two rows of parts may run together to the
    # same bytes.
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


def keep_answer(
    request: Request, answer: Answer, kept: KeptAnswer, options: ResponseCacheOptions
) -> bytes | None:
    """Return what is to be stored of an answer of status 200; None where it is not to be kept.

    Args:
        request: What was asked.
        answer: What was read of the answer.
        kept: The answer.
        options: The operator's settings for its agent.
    """
    if answer.usage is None or len(kept.content) > options.answer_bytes_max:
        return None
    ending = read_ending(kept.dialect, answer, kept.content)
    if ending is Ending.OTHER or (ending is Ending.LIMIT and not _is_at_temperature_0(request)):
        return None
    return msgspec.msgpack.encode(kept)


def read_kept(stored: bytes) -> KeptAnswer | None:
    """Read what was stored; None where another version stored it, or it is damaged."""
    try:
        return _KEPT.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_at_temperature_0(request: Request) -> bool:
    value = request.fields.get("temperature")
    return value is not None and raw.attempt(_NUMBER, value) == 0


def _acts(request: Request, safe_tools: frozenset[str]) -> bool:
    """Whether a call can do more than answer, as far as we can tell."""
    fields = request.fields
    if any(not raw.is_null(fields.get(name)) for name in _ACTING_FIELDS) or fields.get("store") == b"true":
        return True
    if raw.is_null(fields.get("tools")):
        return False
    tools = raw.attempt(_TOOLS, fields["tools"])
    return tools is None or any(_tool_name(tool) not in safe_tools for tool in tools)


def _tool_name(tool: Mapping[str, msgspec.Raw]) -> str | None:
    """Return a tool's name: its own, or that of the function or custom tool that it wraps."""
    for wrapper in ("function", "custom"):
        if wrapper in tool:
            tool = raw.attempt(_FUNCTION, tool[wrapper]) or {}
            break
    return raw.attempt(_NAME, tool["name"]) if "name" in tool else None


def _unmarked_fields(request: Request, dialect: Dialect) -> Mapping[str, bytes]:
    """Return the fields without cache marks; as they came where there are none."""
    marks = dict.fromkeys(_marked_places(request), None)
    if not marks:
        return request.fields
    unmarked = raw.read_body(dialect.write(request, Edits(marks=marks)))
    return {name: bytes(value) for name, value in unmarked.items()}


def _marked_places(request: Request) -> Iterator[Place]:
    prompt = request.prompt
    sections = (
        (Section.TOOLS, prompt.tools),
        (Section.SYSTEM, prompt.system),
        (Section.MESSAGES, prompt.messages),
    )
    for section, pieces in sections:
        for number, piece in enumerate(pieces):
            for place, block in enumerate(piece.blocks):
                if block.mark is not None:
                    yield Place(section, number, place)
