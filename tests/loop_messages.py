"""Conversations of tool calls, in either dialect, for tests of loops."""

import json
from typing import Any

from bursar.wire.transcripts import Turn, request_body

Json = dict[str, Any]


class Talk:
    """A conversation that grows call by call."""

    def __init__(self, opening: str = "Please help.") -> None:
        self.messages: list[Json] = [{"role": "user", "content": opening}]
        self._calls = 0

    def use(self, tool: str, arguments: Any, result: str) -> "Talk":
        """The assistant calls a tool, and it answers. Arguments may be JSON text."""
        return self.use_all([(tool, arguments, result)])

    def use_all(self, uses: list[tuple[str, Any, str]]) -> "Talk":
        """The assistant calls several tools at once."""
        calls: list[Json] = []
        results: list[Json] = []
        for tool, arguments, result in uses:
            self._calls += 1
            call_id = f"call_{self._calls}"
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            calls.append({"id": call_id, "type": "function", "function": {"name": tool, "arguments": text}})
            results.append({"role": "tool", "tool_call_id": call_id, "content": result})
        self.messages += [{"role": "assistant", "content": None, "tool_calls": calls}, *results]
        return self

    def say(self, text: str) -> "Talk":
        """The assistant says something, and the user answers."""
        self.messages += [{"role": "assistant", "content": "I see."}, {"role": "user", "content": text}]
        return self

    def body(self, dialect: str) -> Json:
        """The next call's request body."""
        model = "claude-sonnet-4-6" if dialect.startswith("anthropic") else "gpt-4o"
        return request_body(dialect, Turn(model, self.messages))


DIALECTS = ("anthropic.messages", "openai.chat")
