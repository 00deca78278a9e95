"""What people are told of anomalies, and of conversations that were stopped: names and numbers only.

Nothing of a prompt, an answer or a key is ever in it: neither an anomaly nor a stop holds any.
"""

from bursar.domain.alerts import Finding, FindingKind, Message
from bursar.domain.anomalies import Anomaly
from bursar.domain.commands import resume_command, shell_word
from bursar.domain.scopes import Scope, ScopeKind
from bursar.policy.alerts.messages import one_line
from bursar.view.loop_watch import Stop

# Names of a tool, a model or a conversation are within it.
_SAID_CHARS_MAX = 400


def find_anomaly(anomaly: Anomaly, notify: tuple[str, ...]) -> Finding:
    """Write what is told of an anomaly.

    Args:
        anomaly: The anomaly.
        notify: Names of the notifiers to be told.
    """
    scope = str(Scope(ScopeKind.AGENT, anomaly.tenant, anomaly.agent))
    lines = [f"{one_line(anomaly.said, _SAID_CHARS_MAX)}.", ""]
    if anomaly.calls:
        lines += ["The calls that cost most since it began:", *anomaly.calls, ""]
    lines += [
        "To look: bursar anomaly list",
        "To see who spends: bursar report --by conversation --since 24h",
        f"To stop all its calls: bursar stop {shell_word(scope)}",
    ]
    return Finding(
        kind=FindingKind.ANOMALY,
        scope=scope,
        topic=anomaly.task,
        found_at_s=anomaly.found_at_s,
        message=Message(f"Bursar: unusual spending of {one_line(anomaly.whose)}", "\n".join(lines)),
        notify=notify,
    )


def find_loop(stop: Stop) -> Finding:
    """Write what is told of a conversation that was stopped for its loop."""
    scope = str(Scope(ScopeKind.CONVERSATION, stop.tenant, stop.conversation))
    lines = [
        f"It makes no progress: {one_line(stop.why, _SAID_CHARS_MAX)}.",
        "Its calls are refused from here on.",
        "",
        "To see what it spent: bursar report --by conversation --since 24h",
        f"To let it go on: {resume_command(stop.tenant, stop.conversation)}",
    ]
    return Finding(
        kind=FindingKind.LOOP,
        scope=scope,
        # Whoever judges the same messages finds the same; what it does once it may go on is another matter.
        topic=stop.message.hex(),
        found_at_s=stop.at_s,
        message=Message(
            f"Bursar: conversation {one_line(stop.conversation)} of {one_line(stop.tenant)} was stopped",
            "\n".join(lines),
        ),
        notify=stop.notify,
    )
