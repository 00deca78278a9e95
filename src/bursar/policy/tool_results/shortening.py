"""One text of a tool's result, made shorter as its agent's settings say."""

from collections.abc import Callable, Sequence

import msgspec

from bursar.policy.tool_results.codec import encode
from bursar.policy.tool_results.limits import Limits, limit
from bursar.policy.tool_results.parts import Part


class Job(msgspec.Struct, frozen=True, gc=False):
    """A text to shorten.

    Attributes:
        text: As it came.
        limits: What may be left of it; None for all, written shorter without loss.
        handle: How to get the full text, where something may be left out.
    """

    text: str
    limits: Limits | None = None
    handle: str = ""


def shorten_all(jobs: Sequence[Job], count: Callable[[Sequence[str]], Sequence[int]]) -> list[Part]:
    """Shorten texts, each as its job says.

    Args:
        jobs: What to do.
        count: Returns the tokens of each text (`Tokenizer.count`).
    """
    return [shorten(job, lambda text: count([text])[0]) for job in jobs]


def shorten(job: Job, count: Callable[[str], int]) -> Part:
    """Shorten a text; the same job has the same outcome at every call.

    Args:
        job: What to do.
        count: Returns the tokens of a text.
    """
    if job.limits is None:
        # Of nothing but blanks nothing would be left, and providers refuse an empty text.
        return Part(encode(job.text) or job.text, "")
    return limit(job.text, job.limits, count, job.handle)
