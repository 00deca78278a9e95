"""What a policy decided about a call, and why."""

from collections.abc import Mapping

import msgspec

from bursar.domain.ledger import Technique
from bursar.domain.prompt import Mark


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One technique's decision about one call.

    Attributes:
        technique: Whose decision it is.
        reason: Why, for a person, in few words.
        marks: Cache marks to add, by block number.
        fields: Top-level fields to set, as raw JSON.
        implicit: For caches with a breakpoint of the provider's own: whether it stays on.
        expected_nusd: What it is expected to save over this call and the next, by the cache model.
    """

    technique: Technique
    reason: str
    marks: Mapping[int, Mark] = msgspec.field(default_factory=dict[int, Mark])
    fields: Mapping[str, bytes] = msgspec.field(default_factory=dict[str, bytes])
    implicit: bool | None = None
    expected_nusd: int = 0

    @property
    def changes(self) -> bool:
        """Whether the request changes."""
        return bool(self.marks or self.fields)
