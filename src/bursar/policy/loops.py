"""Loops: an agent that does the same over and over, is told so, and then is stopped.

What is judged is what the agent did and what came of it, never what it says. See `view.repetition` for what
counts as a repetition, and docs/runaways.md for what healthy agents do that does not.
"""

from enum import StrEnum

import msgspec

from bursar.domain.commands import resume_command
from bursar.domain.scopes import Scope, ScopeKind
from bursar.policy.budgets.refusals import Refusal
from bursar.view.loop_watch import Stop
from bursar.view.repetition import Row

CONVERSATION_STOPPED = "conversation_stopped"

# A failure, or a long text, that comes again is weaker evidence where the arguments were others: each time
# something new was tried. It has to come three times as often.
_ALIKE_FACTOR = 3


class LoopOptions(msgspec.Struct, frozen=True):
    """What is done about an agent's loops.

    Attributes:
        mode: `stop`: warn, then stop the conversation; `warn`; or `off`.
        repeats: How often the same may come again, call for call and result for result, before that. The
            answer to the call before says so in a header.
        waiting: Tools by which the agent waits for something, so that it may well call them again.
        notify: Names of the notifiers that are told when a conversation is stopped.
    """

    mode: str = "stop"
    repeats: int = 3
    waiting: frozenset[str] = frozenset()
    notify: tuple[str, ...] = ()


class LoopKind(StrEnum):
    """What an agent does over and over."""

    REPEATED_CALL = "repeated_call"
    CYCLE = "cycle"
    FAILING_TOOL = "failing_tool"
    NOTHING_NEW = "nothing_new"


class Loop(msgspec.Struct, frozen=True):
    """A loop that an agent is in.

    Attributes:
        kind: What it does.
        tool: The tool that it called last.
        repeats: How often the same has come again.
        period: How many exchanges are repeated together.
        stops: Whether the conversation is to be stopped; else it is to be warned.
    """

    kind: LoopKind
    tool: str
    repeats: int
    period: int
    stops: bool


def judge(row: Row, options: LoopOptions) -> Loop | None:
    """Say whether an agent is in a loop; None where it is not, or nobody wants to know."""
    if options.mode == "off":
        return None
    repeats, period = row.repeats
    allowed = options.repeats
    kind = LoopKind.CYCLE if period > 1 else LoopKind.FAILING_TOOL if row.failed else LoopKind.REPEATED_CALL
    if row.alike > _ALIKE_FACTOR * repeats:
        repeats, period, allowed = row.alike, 1, _ALIKE_FACTOR * options.repeats
        kind = LoopKind.FAILING_TOOL if row.failed else LoopKind.NOTHING_NEW
    if repeats < allowed - 1:
        return None
    return Loop(kind, row.tool, repeats, period, stops=options.mode == "stop" and repeats >= allowed)


def messages_min(options: LoopOptions) -> int:
    """Return how many messages a loop takes at least before anything is said about it."""
    return 2 * options.repeats


def describe(loop: Loop) -> str:
    """Say what an agent did, for whoever reads it; names of tools only, no text of its messages."""
    times = f"{loop.repeats + 1} times in a row"
    match loop.kind:
        case LoopKind.REPEATED_CALL:
            return f"it called {loop.tool} with the same arguments and got the same result, {times}"
        case LoopKind.CYCLE:
            return (
                f"it went through the same {loop.period} steps (the last one: {loop.tool}) with the same "
                f"results, {times}"
            )
        case LoopKind.FAILING_TOOL:
            return f"it called {loop.tool}, which failed in the same way, {times}"
        case LoopKind.NOTHING_NEW:
            return f"it called {loop.tool} with other arguments and got the same long result, {times}"


def refuse_looping(stop: Stop) -> Refusal:
    """Tell an agent that its conversation was stopped, and what lets it go on."""
    scope = Scope(ScopeKind.CONVERSATION, stop.tenant, stop.conversation)
    return Refusal(
        402,
        CONVERSATION_STOPPED,
        f"this conversation was stopped because it makes no progress: {stop.why}. Repeating it will not "
        f"help; report what you have. A person can let it go on: "
        f"{resume_command(stop.tenant, stop.conversation)}",
        {"scope": str(scope), "reason": stop.why},
    )
