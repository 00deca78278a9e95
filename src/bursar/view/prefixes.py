"""Prefixes that several threads share: the tools and system text of an agent.

What counts for marking a shared prefix is how often a *new* thread arrives with it while its cache entry
lives; calls of known threads only prolong that life.
"""

from bursar.domain.bounded import BoundedDict
from bursar.domain.layout import Layout
from bursar.view.rhythm import Prior, Return, Rhythm


class SharedPrefixes:
    """Arrivals by shared prefix, bounded."""

    def __init__(self, prefixes_max: int = 20_000) -> None:
        self._rhythm = Rhythm(prefixes_max)
        self._system_under_tools: BoundedDict[bytes, bytes] = BoundedDict(prefixes_max)
        self._varied: BoundedDict[bytes, bool] = BoundedDict(prefixes_max)

    def arrive(self, layout: Layout, *, new_thread: bool, at_s: float) -> None:
        """Count a call with its shared prefix."""
        if not layout.system_end:
            return
        name = layout.chain[layout.system_end - 1]
        if new_thread:
            self._rhythm.arrive(name, name, at_s)
        else:
            self._rhythm.refresh(name, at_s)
        if 0 < layout.tools_end < layout.system_end:
            tools = layout.chain[layout.tools_end - 1]
            before = self._system_under_tools.get(tools)
            if before is not None and before != name:
                self._varied.keep(tools, value=True)
            self._system_under_tools.keep(tools, name)

    def expect(self, layout: Layout, prior: Prior, at_s: float) -> Return:
        """Return how likely a new thread arrives with a layout's shared prefix."""
        if not layout.system_end:
            return Return(0.0, 0.0)
        return self._rhythm.expect(layout.chain[layout.system_end - 1], prior, at_s)

    def system_varies(self, layout: Layout) -> bool:
        """Whether different system texts were seen under a layout's tools."""
        return layout.tools_end > 0 and layout.chain[layout.tools_end - 1] in self._varied
