"""Counting tokens with splintr-rs: o200k inside the wheel, nothing is downloaded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from splintr import AnyTokenizer

# Every special token of the vocabulary begins so; `encode_flat` would take one that is spelled out in a
# text for the real thing, and count one token where a provider counts several.
_SPECIAL = "<|"
# From this many characters on, counting in the library's own threads, with the interpreter's lock
# released, is worth their start: below it a text takes well under a millisecond.
_BATCH_CHARS = 50_000
_BYTES_PER_ID = 4


class SplintrTokenizer:
    """Counts by o200k. Thread-safe; the vocabulary is loaded at the first count (40 ms).

    Ordinary text takes about 6 µs a KB. The worst there is, a megabyte of one letter, takes 0.2 s: the
    library's merging is not quadratic, so no text has to be cut up first (measured 2026-11-24).
    """

    def __init__(self) -> None:
        self._tokenizer: AnyTokenizer | None = None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the o200k tokens of each text.

        A lone surrogate, which JSON can spell but UTF-8 cannot, counts as a question mark.
        """
        tokenizer = self._load()
        if sum(map(len, texts)) >= _BATCH_CHARS:
            return _count_batch(tokenizer, texts)
        return [_count_one(tokenizer, text) for text in texts]

    def _load(self) -> "AnyTokenizer":
        if self._tokenizer is None:
            # Here, not above: `import bursar` is to stay light, and a caller that only reads reports
            # needs no vocabulary. Two threads that come here at once load it twice, which does no harm.
            from splintr import Tokenizer  # noqa: PLC0415 - see above

            tokenizer = Tokenizer.from_pretrained("o200k_base")
            # The first count compiles the pattern (0.15 s); nobody's call shall wait for that later.
            tokenizer.encode_flat("a")
            self._tokenizer = tokenizer
        return self._tokenizer


def _count_one(tokenizer: "AnyTokenizer", text: str) -> int:
    try:
        if _SPECIAL in text:
            return len(tokenizer.encode_ordinary(text))
        return len(tokenizer.encode_flat(text)) // _BYTES_PER_ID
    except UnicodeEncodeError:
        return _count_one(tokenizer, _without_surrogates(text))


def _count_batch(tokenizer: "AnyTokenizer", texts: Sequence[str]) -> list[int]:
    plain = [i for i, text in enumerate(texts) if _SPECIAL not in text]
    counts = [-1] * len(texts)
    try:
        _, offsets = tokenizer.encode_batch_flat([texts[i] for i in plain])
    except UnicodeEncodeError:
        return _count_batch(tokenizer, [_without_surrogates(text) for text in texts])
    ends = memoryview(offsets).cast("Q")
    for row, i in enumerate(plain):
        counts[i] = ends[row + 1] - ends[row]
    return [
        counted if counted >= 0 else _count_one(tokenizer, text)
        for counted, text in zip(counts, texts, strict=True)
    ]


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
