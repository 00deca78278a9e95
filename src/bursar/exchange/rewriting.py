"""Tool results as they are sent: shortened once, on entry, and the same bytes at every later turn.

What a conversation's messages came to is remembered by their pieces, so that a turn costs its new results
only; each shortened text is remembered too, for branches and for equal results elsewhere.
"""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.prompt import BlockKind, Piece, digest, shared_start
from bursar.effects import Effect, Keep, Shorten
from bursar.exchange.call import Call
from bursar.policy.agent import ToolResultPolicy
from bursar.policy.tool_results.codec import POLICY_VERSION
from bursar.policy.tool_results.parts import Part
from bursar.policy.tool_results.references import Earlier, refer
from bursar.policy.tool_results.shortening import Job
from bursar.ports import ContentKey, ContentKind
from bursar.wire import raw_json
from bursar.wire.results import ResultText, read_call_names, read_result_texts, write_result_texts

RESULT_TTL_S = 24 * 3600.0
"""How long a full result can be fetched after it was last sent in part."""

KEEP_AGAIN_S = RESULT_TTL_S / 3
"""How old a full result grows before a call that leads to it has it kept again."""

_HANDLE_BYTES = 16


class Rewritten(msgspec.Struct, frozen=True):
    """A beginning of a conversation's messages, and what it came to.

    Attributes:
        pieces: The messages.
        content: What they came to, with the array's opening bracket, where that is anything else; else empty.
        tools: Names of the tools that were called, by the id of the call.
        results: How many texts of tool results there are.
        earlier: Those of them that stand there in full, by digest.
        kept_at_s: When full results, of which it holds parts, were last seen to; None where it holds none.
    """

    pieces: tuple[Piece, ...]
    content: bytes
    tools: Mapping[str, str]
    results: int
    earlier: Mapping[bytes, Earlier]
    kept_at_s: float | None = None

    def is_kept(self, at_s: float) -> bool:
        """Whether the full results that it leads to will be kept for a while."""
        return self.kept_at_s is None or at_s < self.kept_at_s + KEEP_AGAIN_S


_NOTHING = Rewritten((), b"", tools={}, results=0, earlier={})

# A client that moves its cache marks writes its last few messages anew at each turn.
_MARKED_LAST = 8


class RewriteMemo:
    """What was rewritten before, bounded.

    Args:
        bytes_max: Bytes of messages that are remembered, and a quarter as many of single texts.
    """

    def __init__(self, bytes_max: int = 128 << 20) -> None:
        self._conversations: WeighedDict[bytes, Rewritten] = WeighedDict(
            bytes_max, lambda known: len(known.content) + 200 * (1 + len(known.tools) + len(known.earlier))
        )
        self._parts: WeighedDict[bytes, Part] = WeighedDict(bytes_max // 4, lambda part: 100 + len(part.text))
        self.part = self._parts.get
        """Return what a job came to, by its name, or None."""
        self._kept_at_s: BoundedDict[bytes, float] = BoundedDict(50_000)
        self._policies: BoundedDict[tuple[int, bool], tuple[ToolResultPolicy, bytes]] = BoundedDict(4_096)

    def clear(self) -> None:
        """Forget all texts; they are worked out again, and come to the same."""
        self._conversations.clear()
        self._parts.clear()
        self._kept_at_s.clear()

    def policy_name(self, policy: ToolResultPolicy, *, references: bool) -> bytes:
        """Name what decides about the bytes that a text comes to."""
        known = self._policies.get((id(policy), references))
        if known is None:
            known = policy, digest(f"{POLICY_VERSION}\0{policy}\0{references}".encode())
            self._policies.keep((id(policy), references), known)
        return known[1]

    def beginning(self, key: bytes, pieces: tuple[Piece, ...]) -> Rewritten:
        """Return what is known of how a conversation begins.

        Equal pieces stand for equal bytes here: a message that differs in what no dialect knows of is sent
        as it was sent before.
        """
        known = self._conversations.get(key)
        if known is None or shared_start(known.pieces, pieces) < len(known.pieces):
            return _NOTHING
        return known

    def keep(self, key: bytes, known: Rewritten) -> None:
        """Remember what messages came to."""
        self._conversations.keep(key, known)

    def keep_part(self, name: bytes, part: Part) -> None:
        """Remember what a job came to."""
        self._parts.keep(name, part)

    def is_kept(self, name: bytes, at_s: float) -> bool:
        """Whether the full text of a job will be kept for a while."""
        kept_at_s = self._kept_at_s.get(name)
        return kept_at_s is not None and at_s < kept_at_s + KEEP_AGAIN_S

    def full_kept(self, name: bytes, at_s: float) -> None:
        """Take note that the full text of a job was kept."""
        self._kept_at_s.keep(name, at_s)


def rewrite_results(
    memo: RewriteMemo, call: Call, policy: ToolResultPolicy, *, references: bool
) -> Generator[Effect, Any, bytes | None]:
    """Shorten the tool results of a call's messages.

    Args:
        memo: What was rewritten before.
        call: The call.
        policy: Its agent's settings.
        references: Whether a result may point at an equal one before it.

    Yields:
        The shortening of what is new; and what must be kept before it may be left out.

    Returns:
        The array of messages as it is to be sent, in raw JSON; None where nothing of it changes.
    """
    work = _Work(call, policy, references=references)
    key = call.place.start + memo.policy_name(policy, references=references)
    known = memo.beginning(key, work.pieces)
    if not known.is_kept(call.arrival.at_s):
        # What it leads to must stay for as long as the conversation goes on. The bytes come to the same.
        known = _NOTHING
    jobs = work.read(known)
    parts = (yield from _do(memo, call, jobs)) if jobs else []
    lasting, content = work.write(known, parts)
    if lasting is not known:
        memo.keep(key, lasting)
    return content


def _do(memo: RewriteMemo, call: Call, jobs: Sequence[Job]) -> Generator[Effect, Any, list[Part]]:
    """Return what jobs come to; only what is not remembered is done."""
    at_s = call.arrival.at_s
    names = [_name(job) for job in jobs]
    done = {name: part for name in names if (part := memo.part(name)) is not None}
    for name, job in zip(names, jobs, strict=True):
        if name in done and done[name].left_out and not memo.is_kept(name, at_s):
            # Where that fails, its part stays as it was sent.
            yield keep_full(call.attribution.tenant, job.text)
            memo.full_kept(name, at_s)
    missing = {name: job for name, job in zip(names, jobs, strict=True) if name not in done}
    if missing:
        parts: list[Part] = yield Shorten(tuple(missing.values()))
        for (name, job), part in zip(missing.items(), parts, strict=True):
            done[name] = (yield from _make_fetchable(call, job, part)) if part.left_out else part
            memo.keep_part(name, done[name])
            if done[name].left_out:
                memo.full_kept(name, at_s)
    return [done[name] for name in names]


def _make_fetchable(call: Call, job: Job, part: Part) -> Generator[Effect, Any, Part]:
    """Keep the full text of which a part is sent; what cannot be fetched again is not left out."""
    if (yield keep_full(call.attribution.tenant, job.text)):
        return part
    [whole] = yield Shorten((Job(job.text),))
    return whole


def _name(job: Job) -> bytes:
    """Name a job by all that its outcome hangs on."""
    named = f"{POLICY_VERSION}\0{job.limits}\0{job.handle}\0{job.text}"
    return digest(named.encode("utf-8", "surrogatepass"))


def handle_of(tenant: str, text: str) -> str:
    """Name a tenant's full result so that nobody without the text could: its handle, in hexadecimal."""
    return _full_digest(tenant, text).hex()


def way_to_full(tenant: str, text: str) -> str:
    """Say how a tenant gets a full result that is kept."""
    return f"GET /v1/bursar/results/{handle_of(tenant, text)}"


def keep_full(tenant: str, text: str) -> Keep:
    """Ask for a full result to be kept."""
    key = ContentKey(tenant, ContentKind.RESULT, _full_digest(tenant, text))
    return Keep(key, text.encode(), RESULT_TTL_S)


def _full_digest(tenant: str, text: str) -> bytes:
    key = hashlib.blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=32).digest()
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=_HANDLE_BYTES).digest()


class _Work:
    """One call's messages, while they are rewritten.

    Args:
        call: The call.
        policy: Its agent's settings.
        references: Whether a result may point at an equal one before it.
    """

    def __init__(self, call: Call, policy: ToolResultPolicy, *, references: bool) -> None:
        request = call.request
        self._dialect = call.dialect.name
        self._tenant = call.attribution.tenant
        self._at_s = call.arrival.at_s
        self._array = request.fields["messages"]
        self._ends = request.piece_ends["messages"]
        self.pieces = request.array_pieces
        self._policy = policy
        self._references = references
        self._tools: dict[str, str] = {}
        self._called: dict[int, dict[str, str]] = {}
        self._texts: dict[int, list[ResultText]] = {}

    def read(self, known: Rewritten) -> list[Job]:
        """Find the tool results behind what is known, and say what is to be done with each text."""
        self._tools = dict(known.tools)
        for number in range(len(known.pieces), len(self.pieces)):
            kinds = {block.kind for block in self.pieces[number].blocks}
            if BlockKind.TOOL_CALL in kinds:
                self._called[number] = read_call_names(self._dialect, self._element(number))
                self._tools.update(self._called[number])
            if BlockKind.TOOL_RESULT in kinds:
                self._texts[number] = read_result_texts(self._dialect, self._element(number))
        return [self._job(text) for texts in self._texts.values() for text in texts]

    def write(self, known: Rewritten, parts: Sequence[Part]) -> tuple[Rewritten, bytes | None]:
        """Write the messages behind what is known, given what the jobs came to.

        Returns:
            What is to be remembered of them, and the whole array; None where nothing of it changes.
        """
        if len(known.pieces) == len(self.pieces):
            return known, self._whole(known)
        rest = iter(parts)
        lasting = self._extend(known, max(self._lasting(), len(known.pieces)), rest)
        return lasting, self._whole(self._extend(lasting, len(self.pieces), rest))

    def _lasting(self) -> int:
        """Return how many messages will come again as they are: up to the first that a mark moves through."""
        pieces = self.pieces
        for number in range(max(0, len(pieces) - _MARKED_LAST), len(pieces)):
            if any(block.mark is not None for block in pieces[number].blocks):
                return number
        return len(pieces)

    def _extend(self, known: Rewritten, stop: int, rest: Iterator[Part]) -> Rewritten:
        """Write the messages behind what is known, up to one."""
        start = len(known.pieces)
        if start == stop:
            return known
        tools = known.tools
        for number, called in self._called.items():
            if start <= number < stop:
                tools = {**tools, **called}
        numbers = [number for number in self._texts if start <= number < stop]
        if not numbers and not known.content:
            # The bytes of messages without results are not looked at, however many they are.
            return msgspec.structs.replace(known, pieces=self.pieces[:stop], tools=tools)
        done = self._ends[start - 1] if start else 1
        written: list[bytes] = [known.content or self._array[:done]]
        earlier, results, kept_at_s = dict(known.earlier), known.results, known.kept_at_s
        changed = bool(known.content)
        for number in numbers:
            sent: list[str] = []
            for text in self._texts[number]:
                part = next(rest)
                results += 1
                if part.left_out and kept_at_s is None:
                    kept_at_s = self._at_s
                name = digest(text.text.encode("utf-8", "surrogatepass"))
                reference = refer(part.text, name, earlier) if self._references else None
                sent.append(reference or part.text)
                if reference is None and not part.left_out:
                    earlier[name] = Earlier(tools.get(text.call_id, "a tool"), results)
            element = self._element(number)
            rewritten = write_result_texts(self._dialect, element, sent)
            changed = changed or rewritten != element
            written += (self._array[done : self._ends[number] - len(element)], rewritten)
            done = self._ends[number]
        written.append(self._array[done : self._ends[stop - 1]])
        content = b"".join(written) if changed else b""
        return Rewritten(self.pieces[:stop], content, tools, results, earlier, kept_at_s)

    def _whole(self, known: Rewritten) -> bytes | None:
        if not known.content:
            return None
        return known.content + self._array[self._ends[len(known.pieces) - 1] :]

    def _job(self, text: ResultText) -> Job:
        limits = self._policy.limits_for(self._tools.get(text.call_id, ""))
        if limits is None:
            return Job(text.text)
        return Job(text.text, limits, way_to_full(self._tenant, text.text))

    def _element(self, number: int) -> bytes:
        return raw_json.element(self._array, self._ends, number)
