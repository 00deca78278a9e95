"""What a call's answer is worth: its items' answers, and its money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from bursar.domain.prices import Price, Terms, cost, total_nusd
from bursar.domain.usage import Usage
from bursar.errors import UnpricedClass
from bursar.policy.batch.answers import Fault, FaultKind, Findings, read_answers
from bursar.policy.batch.items import Item
from bursar.policy.batch.prompt import Assignment, items_text
from bursar.policy.batch.records import Ended
from bursar.policy.batch.work import PackedCall
from bursar.policy.batch.worth import Lengths, alone_nusd
from bursar.wire.dialects import DIALECTS
from bursar.wire.plain_calls import Ending, PlainAnswer, PlainRequest, read_plain_answer, write_plain_request


@dataclass(frozen=True, slots=True)
class Charged:
    """What is known of a call's cost beside its usage.

    Attributes:
        cost_nusd: What Bursar's gateway says; None where it said nothing.
        from_cache: Whether the gateway had the answer already.
        is_again: Whether the call was sent before. What the gateway then has was paid for by that.
        tier: What the provider bills it under.
    """

    cost_nusd: int | None = None
    from_cache: bool = False
    is_again: bool = False
    tier: str = "standard"


def write_call(assignment: Assignment, items: Sequence[Item], call: PackedCall) -> bytes:
    """Return the body of a call's request: equal calls have equal bytes, today and after a restart."""
    chosen = [items[position] for position in call.items]
    return write_plain_request(
        assignment.dialect,
        PlainRequest(
            model=assignment.model,
            instructions=assignment.instructions,
            text=items_text(chosen, call.note),
            tokens_max=call.tokens_max,
            marked=assignment.marked,
        ),
    )


class Judge:
    """Reads the answers of one assignment's calls.

    Args:
        assignment: What was asked.
        items: All items of the batch.
        price: The model's; None where none is known.
    """

    def __init__(self, assignment: Assignment, items: Sequence[Item], price: Price | None) -> None:
        self._assignment = assignment
        self._items = items
        self._price = price
        self._instruction_bytes = len(assignment.instructions.encode())

    def read(self, call: PackedCall, body: bytes, charged: Charged) -> Ended:
        """Read a whole answer (status 200)."""
        positions = {self._items[position].name: position for position in call.items}
        said = read_plain_answer(self._assignment.dialect, body)
        findings = self._findings(said, list(positions))
        usage = DIALECTS[self._assignment.dialect].answer(body).usage
        is_cut = said is not None and said.ending is Ending.LIMIT
        return Ended(
            number=call.number,
            answers={positions[name]: answer for name, answer in findings.answers.items()},
            faults={positions[name]: (fault.kind, fault.reason) for name, fault in findings.faults.items()},
            output_tokens=None if usage is None else usage.output,
            is_cut=is_cut and bool(findings.faults),
            cost_nusd=self._cost(usage, charged),
            alone_nusd=self._alone(call, findings.answers, said, usage),
            extras=findings.extras,
            from_cache=charged.from_cache,
        )

    def _findings(self, said: PlainAnswer | None, names: list[str]) -> Findings:
        if said is None:
            fault = Fault(FaultKind.UNREADABLE, "the provider's answer is none of its API")
        elif said.ending is Ending.REFUSED:
            fault = Fault(FaultKind.REFUSED, "the model, or a filter of the provider, refused to answer")
        else:
            is_cut = said.ending is Ending.LIMIT
            return read_answers(said.text, names, self._assignment.schema, is_cut=is_cut)
        return Findings(faults=dict.fromkeys(names, fault))

    def _cost(self, usage: Usage | None, charged: Charged) -> int | None:
        if charged.cost_nusd is not None and not (charged.from_cache and charged.is_again):
            return charged.cost_nusd
        if usage is None or self._price is None:
            return None
        try:
            return total_nusd(cost(usage, self._price, Terms(charged.tier)))
        except UnpricedClass:
            return None

    def _alone(
        self,
        call: PackedCall,
        answers: Mapping[str, object],
        said: PlainAnswer | None,
        usage: Usage | None,
    ) -> int | None:
        if usage is None or self._price is None or said is None:
            return None
        chosen = [self._items[position] for position in call.items]
        lengths = Lengths(
            instruction=self._instruction_bytes,
            items=[len(item.text.encode()) for item in chosen],
            answers=[len(orjson.dumps(answers[i.name])) if i.name in answers else 0 for i in chosen],
            text=len(said.text.encode("utf-8", "surrogatepass")),
        )
        return alone_nusd(usage, self._price, lengths)
