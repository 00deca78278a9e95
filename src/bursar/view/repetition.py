"""How far a conversation's tool calls repeat themselves.

The unit is an *exchange*: the calls of one message of the assistant, and all their results. A row of
exchanges that comes again, call for call and result for result, has brought nothing new. Whatever does bring
something new (another call, another result, a word of the user) ends the row, so that what a healthy agent
does now and then is never added up.
"""

from collections.abc import Iterable

import msgspec

from bursar.domain.prompt import Role, digest
from bursar.wire.acts import Acts, ToolCall, ToolResult

PERIODS = (1, 2, 3, 4)
"""How many exchanges a row may have that is seen to come again."""

# A result this long that comes again was not got by chance; "done" may follow any call.
_TELLING_CHARS_MIN = 200

_NO_RUNS = (0,) * len(PERIODS)

# A tool with one of these words in its name has its caller wait for something else.
_WAITING_WORDS = frozenset({"wait", "sleep", "poll"})


class Row(msgspec.Struct, frozen=True, gc=False):
    """What the last exchanges of a conversation amount to.

    Attributes:
        last: Names of the last exchanges, the latest first, as many as the longest period.
        runs: For each period, how many of the last exchanges equal the one so many before them.
        outcome: Names the last exchange's tools and results, whatever the arguments; empty where results so
            short say nothing.
        alike: How many of the last exchanges had, one after another, the same outcome as the one before.
        tool: The tool that was called last (the first of several).
        failed: Whether that failed.
        open_calls: Calls of the last message of the assistant, until all are answered,
        results: what has come of them,
        said: and what was said beside.
    """

    last: tuple[bytes, ...] = ()
    runs: tuple[int, ...] = _NO_RUNS
    outcome: bytes = b""
    alike: int = 0
    tool: str = ""
    failed: bool = False
    open_calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    said: bytes = b""

    @property
    def repeats(self) -> tuple[int, int]:
        """How often the last row came again, and of how many exchanges it is."""
        counted = [(run // period, period) for run, period in zip(self.runs, PERIODS, strict=True)]
        # Of equal counts the shorter row is meant: a call that is repeated eight times is no pair.
        return max(counted, key=lambda each: (each[0], -each[1]))


START = Row()


def follow(row: Row, acts: Acts, waiting: frozenset[str] = frozenset()) -> Row:
    """Return a row as a further message leaves it.

    Args:
        row: As it was before.
        acts: What the message holds.
        waiting: Names of tools by which the agent waits for something, beside those whose names say so: an
            exchange with one of them ends every row.
    """
    if acts.role is Role.SYSTEM:
        return row
    if acts.role is Role.ASSISTANT:
        if not acts.calls:
            return row
        return msgspec.structs.replace(row, open_calls=acts.calls, results=(), said=b"")
    if not acts.results:
        # Somebody said something, which may be reason enough to do the same again.
        return START
    if not row.open_calls:
        return row
    results = row.results + acts.results
    said = digest(row.said + acts.said) if acts.said else row.said
    if len(results) < len(row.open_calls):
        return msgspec.structs.replace(row, results=results, said=said)
    return _close(row, results, said, waiting)


def _close(row: Row, results: tuple[ToolResult, ...], said: bytes, waiting: frozenset[str]) -> Row:
    """Add an exchange that is complete."""
    calls = row.open_calls
    if not all(result.digest for result in results):
        return START
    if any(call.tool in waiting or is_waiting(call.tool) for call in calls):
        return START
    by_id = {result.call_id: result.digest for result in results}
    pairs = sorted([call.digest + by_id.get(call.call_id, b"") for call in calls])
    name = digest(b"".join(pairs) + said)
    runs = tuple(
        [
            run + 1 if len(row.last) >= period and row.last[period - 1] == name else 0
            for run, period in zip(row.runs, PERIODS, strict=True)
        ]
    )
    failed = all(result.failed for result in results)
    outcome = b""
    if failed or min([result.chars for result in results]) >= _TELLING_CHARS_MIN:
        outcome = digest(_in_order([call.tool.encode("utf-8", "surrogatepass") for call in calls]) + said)
        outcome += _in_order([result.digest for result in results])
    alike = row.alike + 1 if outcome and outcome == row.outcome else 0
    return Row(
        last=(name, *row.last[: PERIODS[-1] - 1]),
        runs=runs,
        outcome=outcome,
        alike=alike,
        tool=calls[0].tool,
        failed=failed,
    )


def is_waiting(tool: str) -> bool:
    """Whether a tool's name says that its caller waits."""
    lower = tool.lower()
    return any(word in lower for word in _WAITING_WORDS) and not _WAITING_WORDS.isdisjoint(_words(tool))


def _words(name: str) -> Iterable[str]:
    """Split a name in snake, kebab or camel case into its words, in lower case."""
    spaced = "".join([f" {char.lower()}" if char.isupper() else char for char in name])
    return spaced.replace("_", " ").replace("-", " ").replace(".", " ").split()


def _in_order(parts: Iterable[bytes]) -> bytes:
    return b"\0".join(sorted(parts))
