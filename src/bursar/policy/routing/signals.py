"""How hard a call looks without anything having been learned: its own signs, and how its agent has fared.

The score is an estimate of how likely a cheap model fails. Each sign is taken as a reason of its own for
failing, so that signs add up without ever exceeding 1. That is an opinion; what came of the agent's earlier
calls is a fact, and counts for more the more there are of them.
"""

from math import expm1, log2

import msgspec

from bursar.domain.prompt import ContentClass
from bursar.policy.routing.texts import MEASURES, Text
from bursar.wire.asked import wants_form
from bursar.wire.content import classify
from bursar.wire.dialect import Request


class PastOutcomes(msgspec.Struct, frozen=True, gc=False):
    """How the cheap models have fared with an agent's calls.

    Attributes:
        attempts: Calls that a cheap model answered first.
        failures: Those of them that had to be escalated, or that somebody complained of.
    """

    attempts: int = 0
    failures: int = 0


NO_PAST = PastOutcomes()


class Signals(msgspec.Struct, frozen=True, gc=False):
    """The signs of one call, each from 0 (none of it) to 1 (as much as counts).

    Attributes:
        length: Of what the user wrote.
        context: Of the whole prompt.
        tools: How many there are to choose from.
        turn: How far the conversation has come.
        code: Whether the text is source code, or how many of its signs are.
        maths: How many of its signs, and of its words, are those of arithmetic.
        foreign: How much of it is in other letters than those of English.
        form: Whether the answer is to have a form.
    """

    length: float = 0.0
    context: float = 0.0
    tools: float = 0.0
    turn: float = 0.0
    code: float = 0.0
    maths: float = 0.0
    foreign: float = 0.0
    form: float = 0.0


# How likely a sign, where it is at its strongest, is reason enough for a cheap model to fail. By judgement,
# not measured on any set of calls; an agent's own past soon weighs more.
_REASONS = Signals(length=0.3, context=0.2, tools=0.2, turn=0.15, code=0.3, maths=0.3, foreign=0.1, form=0.1)
# A plain short question fails too, now and then.
_LEAST = 0.05
# The signs together weigh as much as so many earlier calls of the agent.
_SIGNS_WEIGHT = 20

_LENGTH_CHARS = (200, 8_000)
_CONTEXT_TOKENS = (2_000, 64_000)
_TOOLS_MANY = 24
_TURNS_MANY = 24
# Shares of a text's characters, or numbers to each word, from which on it is code, or arithmetic.
_CODE_DENSITY = 0.04
_MATHS_DENSITY = 0.03
_NUMBERS_TO_WORDS = 0.15

_AT = {name: number for number, name in enumerate(MEASURES)}


def read_signals(request: Request, text: Text, *, prompt_tokens: int, turn: int) -> Signals:
    """Read the signs of a call.

    Args:
        request: The call's request.
        text: Its `read_last_user_text`, read.
        prompt_tokens: Tokens of its prompt, as far as they are known.
        turn: Calls of its thread before it.
    """
    return msgspec.structs.replace(
        read_text_signals(text),
        context=_between(prompt_tokens, _CONTEXT_TOKENS),
        tools=min(len(request.prompt.tools) / _TOOLS_MANY, 1.0),
        turn=min(turn / _TURNS_MANY, 1.0),
        form=float(wants_form(request)),
    )


def read_text_signals(text: Text) -> Signals:
    """Read the signs that stand in a text alone."""
    measures = text.measures
    chars = max(len(text.sample), 1)
    words, numbers, code, maths = (
        expm1(measures[_AT[name]]) for name in ("words", "numbers", "code_signs", "maths_signs")
    )
    is_code = classify(text.sample, ContentClass.CHAT) is ContentClass.CODE
    return Signals(
        length=_between(text.chars, _LENGTH_CHARS),
        code=1.0 if is_code else min(code / chars / _CODE_DENSITY, 1.0),
        maths=min(max(maths / chars / _MATHS_DENSITY, numbers / (words + 1) / _NUMBERS_TO_WORDS), 1.0),
        foreign=min(measures[_AT["beyond_ascii"]], 1.0),
    )


def score_signals(signals: Signals, past: PastOutcomes = NO_PAST) -> float:
    """Say how likely a cheap model fails at a call, from 0 to 1.

    Args:
        signals: The call's own signs.
        past: How cheap models have fared with its agent.
    """
    succeeds = 1 - _LEAST
    for reason, strength in zip(
        msgspec.structs.astuple(_REASONS), msgspec.structs.astuple(signals), strict=True
    ):
        succeeds *= 1 - reason * strength
    return (_SIGNS_WEIGHT * (1 - succeeds) + past.failures) / (_SIGNS_WEIGHT + past.attempts)


def _between(count: int, bounds: tuple[int, int]) -> float:
    """Return where a count stands between two bounds, by its magnitude, from 0 to 1."""
    least, most = bounds
    return min(log2(max(count, least) / least) / log2(most / least), 1.0)
