"""What is pinned to a thread: the settings that decide about its bytes, and how its front is sent."""

import msgspec

from bursar.domain.bounded import BoundedDict
from bursar.policy.agent import AgentPolicy, StablePrefixPolicy, ToolResultPolicy
from bursar.policy.history.options import HistoryOptions
from bursar.policy.tool_results.codec import POLICY_VERSION
from bursar.view.beginnings import Beginning, Cut


class PinnedSettings(msgspec.Struct, frozen=True):
    """The settings that decide in which bytes a conversation is sent.

    Attributes:
        tool_results: How its tool results are shortened,
        history: when and how its history is rewritten,
        stable_prefix: and how its front is made stable.
        version: By which version of the rules tool results are shortened.
    """

    tool_results: ToolResultPolicy
    history: HistoryOptions
    stable_prefix: StablePrefixPolicy
    version: str


class PinnedFront(msgspec.Struct, frozen=True):
    """How a thread's tools and instructions are sent (`front_memo.Stand`).

    Attributes:
        order: Whether its tools are in one order.
        moved: Names of the lines of its instructions that stand behind its prompt.
    """

    order: bool
    moved: frozenset[bytes]


class PinnedCut(msgspec.Struct, frozen=True):
    """Where a text at a thread's front is split (`view.beginnings`).

    Attributes:
        front: Names the front.
        block: Number of the block that is split,
        end_bytes: where,
        name: and what names the beginning that ends there.
    """

    front: bytes
    block: int
    end_bytes: int
    name: bytes

    def cut(self) -> Cut:
        """Return it as it is remembered with those of other threads."""
        return Cut(self.block, Beginning(self.end_bytes, self.name))


class Pin(msgspec.Struct, frozen=True):
    """All that is pinned to a thread.

    Attributes:
        settings: The settings.
        front: How its front is sent; None where its settings leave that alone.
        cut: Where a text of it is split; None for nowhere.
    """

    settings: PinnedSettings
    front: PinnedFront | None = None
    cut: PinnedCut | None = None


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODER = msgspec.msgpack.Decoder(Pin)


def read_pin(content: bytes) -> Pin | None:
    """Read what was kept; None where another version of ours wrote it in another form."""
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_pin(pin: Pin) -> bytes:
    """Write a pin as it is kept."""
    return _ENCODE(pin)


class Pins:
    """Pins of the threads that go on here, bounded; of their texts there is nothing.

    Args:
        threads_max: Threads that are remembered, at about 0.3 KB.
    """

    def __init__(self, threads_max: int = 100_000) -> None:
        self._pins: BoundedDict[str, Pin] = BoundedDict(threads_max)
        self._seen: BoundedDict[str, int] = BoundedDict(threads_max)
        self._cuts: BoundedDict[str, PinnedCut] = BoundedDict(threads_max)
        # Threads of one agent share one set of settings, however many they are.
        self._shared: BoundedDict[bytes, PinnedSettings] = BoundedDict(4_096)
        self._in_force: BoundedDict[int, tuple[AgentPolicy, PinnedSettings]] = BoundedDict(4_096)
        self._policies: BoundedDict[tuple[int, int], tuple[AgentPolicy, PinnedSettings, AgentPolicy]] = (
            BoundedDict(4_096)
        )
        self.find = self._pins.get
        """Return what is pinned to a thread, by its id, or None."""
        self.seen = self._seen.get
        """Return of how many messages of a thread it is known that they ask for no pin, or None."""
        self.keep_seen = self._seen.keep
        """Remember that a thread has no pin, and so many messages that ask for none."""
        self.cut = self._cuts.get
        """Return where a text of a thread was split at its last call, or None."""

    def keep(self, thread_id: str, pin: Pin) -> None:
        """Remember what is pinned to a thread."""
        self._pins.keep(thread_id, pin)
        self._seen.pop(thread_id, None)

    def note_cut(self, thread_id: str, front: bytes, cut: Cut) -> None:
        """Remember where a text of a thread is split.

        Args:
            thread_id: The thread.
            front: Names its front.
            cut: How that is sent.
        """
        known = self._cuts.get(thread_id)
        if known is None or known.front != front or known.name != cut.beginning.name:
            pinned = PinnedCut(front, cut.block, cut.beginning.end_bytes, cut.beginning.name)
            self._cuts.keep(thread_id, pinned)

    def in_force(self, policy: AgentPolicy) -> PinnedSettings:
        """Return the settings that a thread which begins now is pinned to."""
        known = self._in_force.get(id(policy))
        if known is None:
            settings = PinnedSettings(
                policy.tool_results, policy.history, policy.stable_prefix, POLICY_VERSION
            )
            known = policy, self.share(settings)
            self._in_force.keep(id(policy), known)
        return known[1]

    def share(self, settings: PinnedSettings) -> PinnedSettings:
        """Return settings that are equal: the very same for all threads that have them."""
        name = _ENCODE(settings)
        known = self._shared.get(name)
        if known is None:
            self._shared.keep(name, settings)
            return settings
        return known

    def policy(self, policy: AgentPolicy, settings: PinnedSettings) -> AgentPolicy:
        """Return an agent's policy as it is for a thread with some settings: itself where they are in force.

        Who writes summaries says nothing about what was sent before, and costs money: what is set for that
        counts at once.
        """
        key = id(policy), id(settings)
        known = self._policies.get(key)
        if known is None:
            now = policy.history
            history = msgspec.structs.replace(
                settings.history, summary_model=now.summary_model, summary_tokens_max=now.summary_tokens_max
            )
            under = msgspec.structs.replace(
                policy,
                tool_results=settings.tool_results,
                history=history,
                stable_prefix=settings.stable_prefix,
            )
            known = policy, settings, policy if under == policy else under
            self._policies.keep(key, known)
        return known[2]
