"""What is said in one conversation of the demo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bursar.wire.transcripts import Turn, request_body

Json = dict[str, Any]

ANTHROPIC = "anthropic.messages"
OPENAI = "openai.chat"


@dataclass(frozen=True, slots=True)
class Script:
    """One thread: an agent's calls and the answers that are due to them.

    Attributes:
        name: Names it to the double, and as a conversation.
        tenant: Whose agent it is.
        agent: The agent.
        task: What kind of work it is.
        model: The model that it asks.
        stream: Whether it asks for streams.
        tools: Its tools, in OpenAI's form.
        messages: All that is said, in OpenAI's form.
    """

    name: str
    tenant: str
    agent: str
    task: str
    model: str
    stream: bool = False
    tools: Sequence[Mapping[str, Any]] = ()
    messages: Sequence[Json] = field(default_factory=list[Json])

    @property
    def dialect(self) -> str:
        """The API that serves its model."""
        return ANTHROPIC if self.model.startswith("claude") else OPENAI

    @property
    def calls(self) -> int:
        """How many calls it makes."""
        return sum(message["role"] == "assistant" for message in self.messages)

    def labels(self) -> dict[str, str]:
        """Return the headers that attribute its calls."""
        return {
            "x-bursar-tenant": self.tenant,
            "x-bursar-agent": self.agent,
            "x-bursar-task": self.task,
            "x-bursar-conversation": self.name,
        }

    def requests(self) -> list[Json]:
        """Return the body of each of its calls."""
        return [
            request_body(
                self.dialect,
                Turn(self.model, self.messages[:position], self.tools, _OUTPUT_TOKENS_MAX, self.stream),
            )
            for position, message in enumerate(self.messages)
            if message["role"] == "assistant"
        ]

    def transcript(self) -> bytes:
        """Return it as a line that the double answers from, and that `bursar replay` reads."""
        head = {"conversation": self.name, "tenant": self.tenant, "agent": self.agent, "task": self.task}
        return msgspec.json.encode({**head, "messages": self.messages}) + b"\n"


_OUTPUT_TOKENS_MAX = 2_000


class Writer:
    """Writes the messages of a script.

    Args:
        system: The agent's policy.
        name: From which ids of tool calls are made.
    """

    def __init__(self, system: str, name: str) -> None:
        self.messages: list[Json] = [{"role": "system", "content": system}]
        self._name = name
        self._calls = 0

    def user(self, text: str) -> None:
        """Let the customer write."""
        self.messages.append({"role": "user", "content": text})

    def say(self, text: str) -> None:
        """Let the agent answer."""
        self.messages.append({"role": "assistant", "content": text})

    def call(self, tool: str, arguments: Json, result: object) -> None:
        """Let the agent call a tool, and the tool answer in JSON."""
        self._calls += 1
        call_id = f"call_{self._name}_{self._calls}"
        function = {"name": tool, "arguments": msgspec.json.encode(arguments).decode()}
        self.messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call_id, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": call_id, "content": _pretty(result)},
        ]


def _pretty(result: object) -> str:
    """Write JSON as most tools do: indented, for nobody to read."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode()


def tool(name: str, description: str, **parameters: str) -> Json:
    """Define a tool whose parameters are required texts, each with its description."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {
                    parameter: {"type": "string", "description": text}
                    for parameter, text in parameters.items()
                },
                "required": list(parameters),
                "additionalProperties": False,
            },
        },
    }
