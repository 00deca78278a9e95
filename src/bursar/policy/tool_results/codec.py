"""A tool result in fewer tokens without losing anything, and back."""

from contextlib import suppress

from bursar.policy.tool_results.documents import Run, find_run, join_run, read_run
from bursar.policy.tool_results.json_values import (
    NoValue,
    escape_surrogates,
    has_surrogates,
    write_value,
)
from bursar.policy.tool_results.notation import read_encoded
from bursar.policy.tool_results.plain_text import clean
from bursar.policy.tool_results.tables import encode_lines, encode_value

POLICY_VERSION = "tool-results/1"
"""Names what `encode` returns: for one version, a text always has the same bytes. A change of any rule
takes a new name and applies to new conversations, since what was sent must stay as it was sent."""


def encode(text: str) -> str:
    """Write a tool result in its shortest lossless form.

    JSON loses its blanks, and its arrays of like rows become tables (`tables`). Text that ends in JSON has
    that part written so. Any other text stays as it is, but for terminal escape codes and blanks at the ends
    of lines. JSON in which an object repeats a key, or that is nested deeper than 64 levels, counts as text.

    Args:
        text: A tool result as it came.

    Returns:
        At most as many characters; the same bytes at every call, and when called on its own result.
    """
    if has_surrogates(text):
        # It cannot be sent as it is, and nothing that we could make of it would be the same text.
        return text
    try:
        return encode_run(read_run(text))
    except NoValue:
        return clean(text)


def encode_run(run: Run) -> str:
    """Write a text that ends in documents.

    Raises:
        NoValue: A document is nested too deeply.
    """
    if all(gap == "\n" for gap in run.gaps[:-1]):
        table = encode_lines(run.documents)
        if table is not None:
            return run.prefix + escape_surrogates(table) + run.gaps[-1]
    return join_run(run, [escape_surrogates(encode_value(document)) for document in run.documents])


def decode(encoded: str) -> str:
    """Return what `encode` was given, its JSON without blanks and its text without what `clean` takes away.

    A text that holds no table comes back as it is.
    """
    try:
        run = _read_encoded_run(encoded)
        return join_run(run, [escape_surrogates(write_value(document)) for document in run.documents])
    except NoValue:
        return encoded


def _read_encoded_run(text: str) -> Run:
    with suppress(NoValue):
        documents, end = read_encoded(text, 0)
        if end == len(text) and len(documents) == 1:
            return Run("", documents, [""])
    return find_run(text, read_encoded)
