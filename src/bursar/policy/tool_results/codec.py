"""A tool result in fewer tokens without losing anything, and back."""

from contextlib import suppress

from bursar.policy.tool_results.documents import find_run, join_run
from bursar.policy.tool_results.json_values import (
    NoValue,
    Value,
    escape_surrogates,
    has_surrogates,
    read_document,
    read_value,
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
        return _encode_document(text)
    except NoValue:
        pass
    cleaned = clean(text)
    # A document in colour is a document once its escape codes are gone.
    for write in (_encode_document, _encode_run):
        with suppress(NoValue):
            return write(cleaned)
    return cleaned


def decode(encoded: str) -> str:
    """Return what `encode` was given, its JSON without blanks and its text without what `clean` takes away.

    A text that holds no table comes back as it is.
    """
    for write in (_decode_document, _decode_run):
        with suppress(NoValue):
            return write(encoded)
    return encoded


def _encode_document(text: str) -> str:
    return escape_surrogates(encode_value(read_document(text)))


def _encode_run(text: str) -> str:
    run = find_run(text, _read_one)
    if all(gap == "\n" for gap in run.gaps[:-1]):
        table = encode_lines(run.documents)
        if table is not None:
            return run.prefix + escape_surrogates(table) + run.gaps[-1]
    return join_run(run.prefix, [escape_surrogates(encode_value(each)) for each in run.documents], run.gaps)


def _read_one(text: str, start: int) -> tuple[list[Value], int]:
    value, end = read_value(text, start)
    return [value], end


def _decode_document(text: str) -> str:
    documents, end = read_encoded(text, 0)
    if end != len(text) or len(documents) > 1:
        raise NoValue
    return escape_surrogates(write_value(documents[0]))


def _decode_run(text: str) -> str:
    run = find_run(text, read_encoded)
    documents = [escape_surrogates(write_value(document)) for document in run.documents]
    return join_run(run.prefix, documents, run.gaps)
