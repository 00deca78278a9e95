"""A prompt as a learned model sees it: hashed words and pairs of words, and measures.

Words are hashed, so that a model's file holds none of the prompts' words.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import msgspec
import xxhash

from bursar.policy.routing.texts import MEASURES, Text, read_text

BUCKETS = 1 << 17
"""How many different words and pairs are told apart; more meet in one bucket now and then."""

MEASURE_COUNT = len(MEASURES)

_MASK = BUCKETS - 1
# A pair's hash is made of its words' hashes, which takes a third of the time of hashing it.
_PAIR_FACTOR = 31
_PROMPT_SEED = 1
_ANSWER_SEED = 2

_hash = xxhash.xxh32_intdigest


class Features(msgspec.Struct, frozen=True, gc=False):
    """What a learned model sees.

    Attributes:
        counts: How often a word or a pair of words fell into a bucket, by bucket.
        measures: `texts.MEASURES` of the prompt; of the answer too, where there is one.
    """

    counts: Mapping[int, int]
    measures: tuple[float, ...]


def read_features(prompt: str, answer: str | None = None) -> Features:
    """Read what a learned model sees.

    Args:
        prompt: The text of the newest message that a user wrote.
        answer: The weak model's answer, for a model that judges it (a cascade); None before there is one.
    """
    return features_of(read_text(prompt), None if answer is None else read_text(answer))


def features_of(prompt: Text, answer: Text | None = None) -> Features:
    """Return what a learned model sees of texts that were read before."""
    buckets = _buckets(prompt.tokens, _PROMPT_SEED)
    if answer is None:
        return Features(Counter(buckets), prompt.measures)
    buckets += _buckets(answer.tokens, _ANSWER_SEED)
    return Features(Counter(buckets), prompt.measures + answer.measures)


def _buckets(tokens: list[str], seed: int) -> list[int]:
    # Most words come more than once. Half a pair of surrogates is no Unicode, but JSON can write one.
    by_token = {token: _hash(token.encode("utf-8", "surrogatepass"), seed) for token in set(tokens)}
    hashes = [by_token[token] for token in tokens]
    buckets = [value & _MASK for value in hashes]
    buckets += [(before * _PAIR_FACTOR + after) & _MASK for before, after in pairwise(hashes)]
    return buckets
