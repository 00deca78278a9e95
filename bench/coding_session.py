"""A long coding session, made up and seeded: an engineer asks, the agent looks, edits, tests and answers.

Tool results are like those of a real agent: file listings as JSON, files with line numbers, search hits,
edits, and the output of tests with its tracebacks. Later calls take paths and names from earlier results.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bursar.replay.transcripts import Conversation

_SYSTEM = (
    "You are a coding agent in a repository of a parcel carrier's routing service. Look before you edit, "
    "edit one place at a time, and run the tests of what you changed. Follow the style of the code around. "
    "Never touch generated files or the vendored packages. "
)
# A real agent's instructions are pages long.
_RULES = "".join(
    f"Rule {number}: {rule} "
    for number, rule in enumerate(
        (
            "a public function has type annotations and says in its docstring what it returns.",
            "time is passed in, never read inside of a calculation.",
            "an amount of money is a whole number of cents.",
            "an error names the parcel, the depot and the step at which it happened.",
            "a test says in its name what holds.",
            "a query goes through the repository classes, and never loads what it does not need.",
            "a log line has no addresses or names of recipients in it.",
            "a migration can be run twice.",
        )
        * 5,
        start=1,
    )
)
_PACKAGES = ("routing", "depots", "tariffs", "parcels", "tracking", "billing", "carriers", "forecast")
_NOUNS = (
    "route",
    "depot",
    "parcel",
    "tariff",
    "stop",
    "manifest",
    "claim",
    "window",
    "driver",
    "zone",
    "label",
)
_VERBS = (
    "plan",
    "merge",
    "price",
    "split",
    "assign",
    "close",
    "reopen",
    "measure",
    "reserve",
    "release",
    "check",
)
_ASKS = (
    "{name} in {path} returns too early when the list is empty. Please find out why and mend it.",
    "Please add a limit to {name} ({path}), with a test for the case that it is exceeded.",
    "The nightly run fails somewhere below {path}; the last frame is in {name}. What is it? Please fix it.",
    "{name} is slow for large depots. Look at {path} and at who calls it, and make it linear.",
)
_THOUGHTS = (
    "I will look at the code first.",
    "The name is used in more than one place, so I check who calls it.",
    "This does not explain the failure yet; I look at the neighbouring module.",
    "Now I make the change.",
    "I run the tests of this package.",
)
_TOOLS: dict[str, tuple[str, dict[str, str]]] = {
    "list_files": ("List the files below a folder, with size and time of change.", {"folder": "string"}),
    "read_file": ("Read lines of a file.", {"path": "string", "first": "integer", "last": "integer"}),
    "search": ("Search the repository for a name.", {"pattern": "string", "folder": "string"}),
    "edit_file": ("Replace text in a file.", {"path": "string", "old": "string", "new": "string"}),
    "run_tests": ("Run the tests of a folder.", {"folder": "string"}),
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {field: {"type": kind} for field, kind in fields.items()},
                "required": list(fields),
            },
        },
    }
    for name, (description, fields) in _TOOLS.items()
]

_STEPS = ("list_files", "read_file", "search", "read_file", "read_file", "edit_file", "run_tests")


@dataclass(slots=True)
class _Session:
    """The session as it grows."""

    draw: random.Random
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    at_s: list[float | None] = field(default_factory=list[float | None])
    now_s: float = 0.0
    calls: int = 0

    def say(self, message: dict[str, Any]) -> None:
        """Add a message; an assistant's is the answer to a call."""
        answers = message["role"] == "assistant"
        self.messages.append(message)
        self.at_s.append(self.now_s if answers else None)
        if answers:
            self.calls += 1
            self.now_s += self.draw.uniform(4.0, 25.0)

    def use(self, tool: str, arguments: dict[str, Any], result: str) -> None:
        """Let the agent call a tool, and the tool answer."""
        call_id = f"call_{len(self.messages):05d}"
        function = {"name": tool, "arguments": json.dumps(arguments)}
        call = {"id": call_id, "type": "function", "function": function}
        self.say({"role": "assistant", "content": self.draw.choice(_THOUGHTS), "tool_calls": [call]})
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
        self.at_s.append(None)


def coding_session(calls: int, *, agent: str = "coder", seed: int = 1) -> Conversation:
    """Return a session of so many calls, each at its time; a call in about thirty comes after a pause.

    Args:
        calls: How often the model is called.
        agent: The agent's name.
        seed: Another seed is another session.
    """
    draw = random.Random(seed)  # noqa: S311 - test text, not a secret
    session = _Session(draw)
    session.say({"role": "system", "content": _SYSTEM + _RULES})
    while session.calls < calls:
        _work(session, calls)
    return Conversation(
        place=f"coding session {seed}",
        labels={"conversation": f"coding-{seed}", "agent": agent, "task": "code_generation"},
        messages=session.messages,
        at_s=session.at_s,
    )


def _work(session: _Session, calls_max: int) -> None:
    """Let the engineer ask for something, and the agent do it."""
    draw = session.draw
    # Every other time, she has been away for longer than a cache lives.
    session.now_s += draw.choice((30.0, 90.0, 900.0, 7_200.0))
    path, name = _path(draw), _name(draw)
    session.say({"role": "user", "content": draw.choice(_ASKS).format(path=path, name=name)})
    looked_at = path
    for step in _steps(draw):
        if session.calls >= calls_max - 1:
            break
        looked_at = _use(session, step, looked_at, name)
    session.say({"role": "assistant", "content": f"Done: {name} in {path} is mended, and its tests pass."})


def _steps(draw: random.Random) -> Iterator[str]:
    for _ in range(draw.randint(2, 6)):
        yield from _STEPS


def _use(session: _Session, tool: str, path: str, name: str) -> str:
    """Let the agent call a tool, and return where it will look next."""
    draw, folder = session.draw, path.rsplit("/", 1)[0]
    match tool:
        case "list_files":
            session.use(tool, {"folder": folder}, _listing(draw, folder))
        case "read_file":
            first = draw.randrange(1, 400)
            lines = draw.randint(40, 160)
            arguments = {"path": path, "first": first, "last": first + lines}
            session.use(tool, arguments, _numbered(_code(draw, name, lines), first))
        case "search":
            hits = _hits(draw, name)
            session.use(tool, {"pattern": name, "folder": "src"}, hits)
            return hits.partition(":")[0]
        case "edit_file":
            arguments = {"path": path, "old": _code(draw, name, 6), "new": _code(draw, name, 9)}
            session.use(tool, arguments, f"{path}: 1 place changed.")
        case _:
            session.use(tool, {"folder": folder.replace("src", "tests")}, _test_output(draw, path, name))
    return path


def _name(draw: random.Random) -> str:
    return f"{draw.choice(_VERBS)}_{draw.choice(_NOUNS)}_{draw.choice(_NOUNS)}s"


def _path(draw: random.Random) -> str:
    return f"src/parcel_service/{draw.choice(_PACKAGES)}/{draw.choice(_NOUNS)}_{draw.choice(_VERBS)}.py"


def _listing(draw: random.Random, folder: str) -> str:
    files = [
        {
            "path": f"{folder}/{draw.choice(_NOUNS)}_{draw.choice(_VERBS)}_{number}.py",
            "bytes": draw.randint(300, 30_000),
            "changed": f"2026-{draw.randint(1, 11):02d}-{draw.randint(1, 28):02d}",
        }
        for number in range(draw.randint(8, 40))
    ]
    return json.dumps({"folder": folder, "files": files}, indent=2)


def _code(draw: random.Random, name: str, lines: int) -> str:
    """Return about so many lines of Python."""
    written: list[str] = []
    while len(written) < lines:
        noun, other, function = draw.choice(_NOUNS), draw.choice(_NOUNS), _name(draw)
        written += [
            f"def {function}({noun}s: Sequence[{noun.title()}], *, limit: int = {draw.randint(2, 900)}):",
            f'    """Return how many {other}s the {noun}s need, at most the limit."""',
            f"    found = [{noun} for {noun} in {noun}s if {noun}.{other}_id is not None]",
            f"    if len(found) > limit - {draw.randint(1, 9)}:",
            f'        raise TooMany{other.title()}s(f"{{len(found)}} {noun}s at {{found[0].{other}_id}}")',
            f"    total_cents = sum({noun}.cost_cents * {draw.randint(2, 40)} for {noun} in found)",
            f"    return {name}(found, total_cents // max(1, len({noun}s)))",
            "",
        ]
    return "\n".join(written[:lines])


def _numbered(code: str, first: int) -> str:
    return "\n".join([f"{number:5d}\t{line}" for number, line in enumerate(code.split("\n"), start=first)])


def _hits(draw: random.Random, name: str) -> str:
    return "\n".join(
        f"{_path(draw)}:{draw.randint(3, 700)}:    {draw.choice(_NOUNS)} = {name}({draw.choice(_NOUNS)}s)"
        for _ in range(draw.randint(3, 25))
    )


def _test_output(draw: random.Random, path: str, name: str) -> str:
    test = path.rsplit("/", 1)[1].replace(".py", "")
    lines = ["\x1b[1m============ test session starts ============\x1b[0m", "collected 48 items", ""]
    lines += [
        f"tests/{test}/test_{_name(draw)}.py \x1b[32m{'.' * draw.randint(2, 20)}\x1b[0m" for _ in range(8)
    ]
    for _ in range(draw.choice((0, 0, 1, 3))):
        lines += [f"_________ test_{_name(draw)} _________", "", *_code(draw, name, 8).split("\n")]
        lines += [f"E       AssertionError: assert {draw.randint(1, 99)} == {draw.randint(1, 99)}", ""]
        lines += [f"{path}:{draw.randint(10, 700)}: AssertionError"]
    return "\n".join([*lines, f"==== {draw.randint(30, 48)} passed in {draw.randint(1, 90) / 10} s ===="])
