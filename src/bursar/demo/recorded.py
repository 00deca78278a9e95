"""A user's own transcripts as the demo's scripts, shared out over both SDKs."""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.demo.scripts import Script
from bursar.errors import BadLine, CallerMistake
from bursar.replay.files import Skipped, Watching, open_recordings
from bursar.replay.transcripts import Conversation
from bursar.wire.transcripts import tools_named_in

_MODELS = ("claude-sonnet-4-6", "gpt-4.1")
_CONVERSATIONS_MAX = 40


def read_scripts(file: str, tools: Sequence[Mapping[str, Any]], skipped: list[BadLine]) -> list[list[Script]]:
    """Read the first few dozen conversations of a file.

    Args:
        file: JSONL, one transcript a line.
        tools: Tools of all its agents; without any, those that a conversation calls, by name only.
        skipped: Takes the lines that cannot be read.

    Raises:
        CallerMistake: It cannot be read, or holds no transcript in OpenAI's message form.
    """
    (items,) = open_recordings([file], Watching(Skipped(), skipped.append, lambda _: None))
    scripts: list[list[Script]] = []
    for item in items:
        if isinstance(item, Conversation) and item.messages:
            scripts.append([_script(item, len(scripts), tools)])
            if len(scripts) == _CONVERSATIONS_MAX:
                break
    if not scripts:
        raise CallerMistake(f"{file}: holds no transcript with `messages`, which is what the demo plays")
    return scripts


def _script(conversation: Conversation, number: int, tools: Sequence[Mapping[str, Any]]) -> Script:
    labels = conversation.labels
    return Script(
        # Two lines may bear one name; the double would take the later one's answers for both.
        name=f"{labels['conversation']}-{number}",
        tenant=labels.get("tenant", "default"),
        agent=labels.get("agent", "default"),
        task=labels.get("task", ""),
        model=_MODELS[number % len(_MODELS)],
        stream=number % 4 >= len(_MODELS),
        tools=tools or tools_named_in(conversation.messages),
        messages=[dict(message) for message in conversation.messages],
    )
