"""Parts of a full tool result, for whoever follows a handle."""

from collections.abc import Sequence

from bursar.policy.tool_results.codec import encode, encode_run
from bursar.policy.tool_results.documents import Run, read_run
from bursar.policy.tool_results.json_values import NoValue, Value, check_depth


def select(text: str, *, rows: int | None = None, fields: Sequence[str] = (), offset: int = 0) -> str:
    """Return rows and fields of a tool result, in its lossless form.

    Rows are the elements of an array, the documents of JSON Lines, or the lines of a text. Of an object,
    each of its arrays is cut to the rows; the rest of it stays.

    Args:
        text: The full result.
        rows: How many rows; None for all.
        fields: Paths of members to keep, such as `flights.price`; none for all. Arrays are passed through:
            a path names members of their elements. A text has no fields.
        offset: How many rows to skip.
    """
    skipped = max(offset, 0)
    window = slice(skipped, None if rows is None else skipped + max(rows, 0))
    try:
        run = read_run(text)
        for document in run.documents:
            check_depth(document)
        return encode_run(_select_documents(run, window, [field for field in fields if field]))
    except NoValue:
        return "\n".join(encode(text).split("\n")[window])


def _select_documents(run: Run, window: slice, fields: Sequence[str]) -> Run:
    if len(run.documents) > 1:
        chosen = [_keep_fields(document, fields) for document in run.documents[window]]
        return Run(run.prefix, chosen, ["\n" for _ in chosen])
    document = _keep_fields(run.documents[0], fields)
    if isinstance(document, list):
        document = document[window]
    elif isinstance(document, dict):
        document = {
            name: member[window] if isinstance(member, list) else member for name, member in document.items()
        }
    return Run(run.prefix, [document], run.gaps)


def _keep_fields(value: Value, fields: Sequence[str]) -> Value:
    if not fields:
        return value
    if isinstance(value, list):
        return [_keep_fields(element, fields) for element in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Value] = {}
    for name, member in value.items():
        if name in fields:
            kept[name] = member
            continue
        inner = [field[len(name) + 1 :] for field in fields if field.startswith(f"{name}.")]
        if inner:
            kept[name] = _keep_fields(member, inner)
    return kept
