"""The provider double as a replay's upstream: it says what was recorded, and caches and bills by itself."""

from dataclasses import replace

from bursar.domain.price_book import PriceBook
from bursar.domain.prompt import digest
from bursar.double.bill import Bill
from bursar.double.calls import DoubleCall, DoubleOptions
from bursar.double.faces import Ask
from bursar.double.invention import sentences
from bursar.double.models import ModelCatalogue, ModelLimits
from bursar.double.provider import ProviderDouble, Provisions
from bursar.double.speech import Speech
from bursar.double.transcripts import TranscriptBook
from bursar.drivers.replaying import Response
from bursar.exchange.summarising import is_for_summary
from bursar.ports import UpstreamRequest
from bursar.replay.calls import RecordedCall

_PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}

# What a recorded call did not exceed when it was made, it need not be refused for now.
_UNLIMITED_TOKENS = 1 << 40


# A made-up summary is about four fifths as long as it may be; a made-up sentence has some 14 tokens.
_SENTENCE_TOKENS = 18
_SENTENCES_MAX = 200


class PlayedBook(TranscriptBook):
    """The answer that is due next, whatever the request; where none is, a summary is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.next: Speech | None = None

    def find(self, conversation: str, turn: int, ask: Ask) -> Speech | None:  # noqa: ARG002 - see above
        """Return it. No recording has a summary, so one is made up, as long as most are."""
        if self.next is not None:
            return self.next
        count = (ask.output_tokens_max or 0) // _SENTENCE_TOKENS
        return Speech(sentences(digest(ask.last_user_text.encode()), max(1, min(count, _SENTENCES_MAX))))


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
        options: How the double behaves.
    """

    def __init__(self, provisions: Provisions, options: DoubleOptions | None = None) -> None:
        self._book = PlayedBook()
        self._double = ProviderDouble(replace(provisions, transcripts=self._book), options)
        # A replay of any length keeps sums and no rows.
        self._double.bill = Bill(rows_max=0)

    @property
    def billed_nusd(self) -> int:
        """What all calls so far cost."""
        return self._double.bill.cost_nusd

    def respond(self, call: RecordedCall, request: UpstreamRequest, at_s: float) -> Response:
        """Answer a request that was made for a recorded call."""
        self._book.next = None if is_for_summary(request) else call.speech
        # The double looks into its transcripts only for a conversation that has a name.
        headers = {"x-bursar-conversation": "replay", **request.headers}
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
