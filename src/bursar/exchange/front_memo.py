"""What is remembered of prompts' fronts, their tools and instructions, so that a thread keeps its own."""

import msgspec

from bursar.domain.bounded import BoundedDict, WeighedDict
from bursar.domain.prompt import digest
from bursar.view.volatile_lines import Lines, VolatileLines
from bursar.wire.raw_json import compact
from bursar.wire.tool_order import order_tools


class Stand(msgspec.Struct, frozen=True, gc=False):
    """How a thread's front is sent.

    Attributes:
        order: Whether its tools are in one order.
        moved: Names of the lines of its instructions that stand behind its prompt.
        tools: Names the tools as they came last,
        system: and the instructions; both empty where that is not known any more.
    """

    order: bool
    moved: frozenset[bytes]
    tools: bytes
    system: bytes


class OrderedTools(msgspec.Struct, frozen=True, gc=False):
    """Tools in one order.

    Attributes:
        content: The array in raw JSON.
        name: Names them, whatever order they came in.
    """

    content: bytes
    name: bytes


class FrontMemo:
    """Fronts in memory, bounded; of instructions, digests only.

    Args:
        threads_max: Threads whose stand is kept, at about 0.4 KB.
        tools_bytes_max: Bytes of tools in order.
        lines_max: Lines of instructions that may vary, at about 0.2 KB; and as many of what was seen of them.
    """

    def __init__(
        self, threads_max: int = 100_000, tools_bytes_max: int = 16 << 20, lines_max: int = 100_000
    ) -> None:
        self._stands: BoundedDict[tuple[str, str], Stand] = BoundedDict(threads_max)
        self._ordered: WeighedDict[bytes, OrderedTools] = WeighedDict(
            tools_bytes_max, lambda tools: len(tools.content)
        )
        # The form in which tools came first; empty once they came in another.
        self._forms: BoundedDict[bytes, bytes] = BoundedDict(lines_max)
        self._lines: WeighedDict[bytes, Lines] = WeighedDict(lines_max, lambda lines: 1 + len(lines))
        self.volatile = VolatileLines(lines_max)
        self.stand = self._stands.get
        """Return how a thread's front is sent, by its id and the mode; None where it is not known."""
        self.keep_stand = self._stands.keep
        """Remember how a thread's front is sent."""
        self.lines = self._lines.get
        """Return the lines of instructions that may vary, by what names these; or None."""
        self.keep_lines = self._lines.keep
        """Remember the lines of instructions that may vary."""

    def ordered(self, tools: bytes) -> OrderedTools:
        """Return tools, an array in raw JSON, in one order."""
        key = digest(tools)
        known = self._ordered.get(key)
        if known is None:
            content = order_tools(tools)
            known = OrderedTools(content, digest(compact(content)))
            self._ordered.keep(key, known)
        return known

    def forget_texts(self) -> None:
        """Forget tools in order; they are ordered again, and come to the same."""
        self._ordered.clear()

    def vary(self, who: bytes, tools: OrderedTools, form: bytes) -> bool:
        """Learn in which form tools came; return whether they come in different ones.

        Args:
            who: Names the agent and its tenant.
            tools: The tools.
            form: Names them as they came.
        """
        key = who + tools.name
        first = self._forms.get(key)
        if first is None:
            self._forms.keep(key, form)
            return False
        if first and first != form:
            self._forms.keep(key, b"")
            return True
        return not first
