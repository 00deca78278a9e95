"""What a call is answered with, and how many tokens that takes."""

from dataclasses import dataclass

from bursar.domain.money import divide_up
from bursar.domain.prompt import digest
from bursar.double.draws import Draw
from bursar.double.faces import Ask
from bursar.double.invention import invent, summarise_reasoning
from bursar.double.labels import LabelBook
from bursar.double.prompts import PromptCounter
from bursar.double.speech import Counted, Ending, Speech
from bursar.double.transcripts import TranscriptBook

_REASONING_FLOOR_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer with its counts.

    Attributes:
        speech: What is said.
        reasoning: What is shown of the reasoning; empty without any.
        output_tokens: Tokens of what is said, by one choice.
        reasoning_tokens: Tokens of the reasoning.
    """

    speech: Speech
    reasoning: str
    output_tokens: int
    reasoning_tokens: int


class Speaker:
    """Finds or invents answers.

    Args:
        transcripts: Recorded answers.
        labels: Right answers to items.
        counter: Counts them.
        seed: What invented answers depend on, beside the prompt.
    """

    def __init__(
        self, transcripts: TranscriptBook, labels: LabelBook, counter: PromptCounter, seed: int
    ) -> None:
        self._transcripts = transcripts
        self._labels = labels
        self._counter = counter
        self._seed = str(seed).encode()

    def speak(self, ask: Ask, *, turn: int, conversation: str, prompt: bytes, call_id: str) -> Spoken:
        """Answer a request.

        Args:
            ask: The request.
            turn: Number of the conversation's answers that came before.
            conversation: Its name; empty where unsaid.
            prompt: 16 bytes that stand for the prompt.
            call_id: Id of an invented tool call.
        """
        if ask.output_tokens_max == 0:
            return Spoken(Speech("", (), Ending.LIMIT), "", 0, 0)
        name = digest(self._seed + prompt)
        recorded = self._transcripts.find(conversation, turn, ask) if conversation else None
        if recorded is not None and recorded.counted is not None:
            return _as_counted(recorded, recorded.counted, ask.choices, name)
        known = recorded or self._labels.find(ask, Draw(name))
        speech = (known or invent(ask, name, call_id)).stopped_at(ask.stop_sequences)
        calls = [f"{call.name} {call.arguments}" for call in speech.calls]
        text_tokens, call_tokens = self._counter.answer_tokens(ask.model, speech.text, calls)
        said = max(1, text_tokens + call_tokens)
        reasoning = _reasoning_tokens(ask, said, name)
        allowed = ask.output_tokens_max
        if allowed is not None and reasoning + said > allowed:
            reasoning = min(reasoning, allowed // 2)
            said = allowed - reasoning
            speech = speech.limited(text_tokens, said)
        return Spoken(speech, summarise_reasoning(name) if reasoning else "", said, reasoning)


def _as_counted(speech: Speech, counted: Counted, choices: int, name: bytes) -> Spoken:
    """Return a recorded answer as its provider counted it: limits and stops have already acted on it."""
    return Spoken(
        speech=speech,
        reasoning=summarise_reasoning(name) if counted.reasoning_tokens else "",
        output_tokens=divide_up(counted.output_tokens, choices),
        reasoning_tokens=divide_up(counted.reasoning_tokens, choices),
    )


def _reasoning_tokens(ask: Ask, said: int, name: bytes) -> int:
    """Return how many tokens are reasoned: half to twice what is said, within the request's budget."""
    if ask.reasoning_tokens_max is None:
        return 0
    share = 50 + Draw(name).below("reasoning", 150)
    return min(ask.reasoning_tokens_max, _REASONING_FLOOR_TOKENS + said * share // 100)
