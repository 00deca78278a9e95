"""The provider double as a replay's upstream: it says what was recorded, and caches and bills by itself."""

from dataclasses import replace

from bursar.domain.price_book import PriceBook
from bursar.double.bill import Bill
from bursar.double.calls import DoubleCall, DoubleOptions
from bursar.double.faces import Ask
from bursar.double.models import ModelCatalogue, ModelLimits
from bursar.double.provider import ProviderDouble, Provisions
from bursar.double.speech import Speech
from bursar.double.transcripts import TranscriptBook
from bursar.drivers.replaying import Response
from bursar.ports import UpstreamRequest
from bursar.replay.calls import RecordedCall

_PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}

# What a recorded call did not exceed when it was made, it need not be refused for now.
_UNLIMITED_TOKENS = 1 << 40


class PlayedBook(TranscriptBook):
    """The answer that is due next, whatever the request."""

    def __init__(self) -> None:
        super().__init__()
        self.next: Speech | None = None

    def find(self, conversation: str, turn: int, ask: Ask) -> Speech | None:  # noqa: ARG002 - see above
        """Return it."""
        return self.next


class OpenCatalogue(ModelCatalogue):
    """Every model that has a price is served, those of which no limits are known without limits.

    Args:
        known: Models whose limits are known.
        prices: Prices.
    """

    def __init__(self, known: ModelCatalogue, prices: PriceBook) -> None:
        super().__init__(())
        self._known = known
        self._prices = prices

    def find(self, dialect: str, model: str) -> ModelLimits | None:
        """Return a model's limits."""
        known = self._known.find(dialect, model)
        return known or ModelLimits(model, dialect, _UNLIMITED_TOKENS, _UNLIMITED_TOKENS, breakpoints=True)


class RecordedProvider:
    """Answers requests from recordings.

    Args:
        provisions: What the double works from; its transcripts are not used.
    """

    def __init__(self, provisions: Provisions) -> None:
        self._book = PlayedBook()
        self._double = ProviderDouble(replace(provisions, transcripts=self._book), DoubleOptions())
        # A replay of any length keeps sums and no rows.
        self._double.bill = Bill(rows_max=0)

    @property
    def billed_nusd(self) -> int:
        """What all calls so far cost."""
        return self._double.bill.cost_nusd

    def respond(self, call: RecordedCall, request: UpstreamRequest, at_s: float) -> Response:
        """Answer a request that was made for a recorded call."""
        # The double looks into its transcripts only for a conversation that has a name.
        headers = {"x-bursar-conversation": "replay", **request.headers}
        self._book.next = call.speech
        answer = self._double.respond(DoubleCall(_PATHS[request.upstream], headers, request.body), at_s)
        self._double.settle(answer)
        ends_at_s = at_s + (call.duration_s if answer.status == 200 else 0.0)
        return Response(
            status=answer.status,
            headers=answer.headers,
            body=b"".join([event.data for event in answer.events]) if answer.events else answer.body,
            # When an answer begins is not recorded. At its end is the dearer reading: until then nobody
            # else can read what it writes to the cache.
            begins_at_s=ends_at_s,
            ends_at_s=ends_at_s,
            begun=answer.begun,
        )
