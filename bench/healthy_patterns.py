"""What healthy agents do that looks like a loop from afar: made-up conversations, seeded."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]


class Script:
    """Writes a conversation with one tool call after another."""

    def __init__(self, opening: str) -> None:
        self.messages: list[Message] = [{"role": "user", "content": opening}]
        self._calls = 0

    def call(self, tool: str, arguments: Mapping[str, Any], result: str) -> None:
        """Have the assistant call a tool, and the tool answer."""
        self._calls += 1
        call_id = f"call_{self._calls}"
        function = {"name": tool, "arguments": json.dumps(arguments)}
        self.messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call_id, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": call_id, "content": result},
        ]

    def said(self, text: str) -> None:
        """Have the assistant say something, and the user answer."""
        self.messages += [{"role": "assistant", "content": "Let me see."}, {"role": "user", "content": text}]

    def end(self) -> Sequence[Message]:
        """Have the assistant end it."""
        return [*self.messages, {"role": "assistant", "content": "That is all."}]


def paging(draw: random.Random) -> Sequence[Message]:
    """A listing is read page by page; the last pages are empty."""
    script = Script("List all orders.")
    for page in range(draw.randint(8, 30)):
        script.call("list_orders", {"page": page}, json.dumps([draw.randint(1, 10**9) for _ in range(20)]))
    for page in range(90, 92):
        script.call("list_orders", {"page": page}, "[]")
    return script.end()


def polling(draw: random.Random) -> Sequence[Message]:
    """A job is asked about until it is done; what it answers changes."""
    script = Script("Run the export.")
    done = 0
    while done < 100:
        done = min(100, done + draw.randint(1, 9))
        script.call("job_status", {"job": "j-1"}, json.dumps({"status": "running", "percent": done}))
    return script.end()


def waiting(draw: random.Random) -> Sequence[Message]:
    """A job is waited for, and its state does not change for long."""
    script = Script("Deploy it.")
    for _ in range(draw.randint(5, 20)):
        script.call("sleep", {"seconds": 30}, "ok")
        script.call("get_deployment", {"id": 7}, '{"status": "pending"}')
    return script.end()


def retrying(draw: random.Random) -> Sequence[Message]:
    """A call fails now and then, is tried again, and succeeds at the third time at the latest."""
    script = Script("Fetch the rates of all days.")
    for day in range(20):
        for _ in range(draw.randint(0, 2)):
            script.call("get_rate", {"day": day}, f"Error: timeout (request {draw.randint(1, 10**6)})")
        script.call("get_rate", {"day": day}, str(draw.random()))
    return script.end()


def impatient_user(draw: random.Random) -> Sequence[Message]:
    """A user asks the same again and again, and the tool has nothing new to tell."""
    script = Script("Is my parcel here yet?")
    for _ in range(draw.randint(6, 15)):
        script.call("track_parcel", {"id": 99}, "in transit")
        script.said("Is my parcel here yet?")
    return script.end()


def editing(draw: random.Random) -> Sequence[Message]:
    """A test is run again after each edit, and goes on failing in the same way for a while."""
    script = Script("Make the test pass.")
    for _ in range(draw.randint(5, 12)):
        script.call("edit_file", {"line": draw.randint(1, 10**6)}, "ok")
        script.call("run_tests", {}, "1 failed, 41 passed")
    return script.end()


def deleting(draw: random.Random) -> Sequence[Message]:
    """Many things are done alike, and each is acknowledged alike."""
    script = Script("Delete all old files.")
    for number in range(draw.randint(20, 60)):
        script.call("delete_file", {"path": f"old/{number}.log"}, "ok")
    return script.end()


def searching(draw: random.Random) -> Sequence[Message]:
    """Several places are searched in vain before the right one is found."""
    script = Script("Where is the setting read?")
    for number in range(draw.randint(4, 8)):
        script.call("search", {"query": f"setting in part {number}"}, "Error: no matches")
    script.call("search", {"query": "setting"}, "config.py:12")
    return script.end()


def rereading(draw: random.Random) -> Sequence[Message]:
    """The same file is read again between other things."""
    script = Script("Tidy the module up.")
    for number in range(draw.randint(8, 20)):
        script.call("read_file", {"path": "main.py"}, "x = 1\n" * 100)
        script.call("search", {"query": f"use {number}"}, f"line {draw.randint(1, 10**6)}")
    return script.end()


PATTERNS: Mapping[str, Callable[[random.Random], Sequence[Message]]] = {
    "paging": paging,
    "polling, results change": polling,
    "waiting, results do not": waiting,
    "retries that succeed": retrying,
    "a user who repeats himself": impatient_user,
    "edits and failing tests": editing,
    "many deletions": deleting,
    "searches in vain": searching,
    "reading a file again": rereading,
}
