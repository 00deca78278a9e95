"""Learned models on disk."""

from pathlib import Path

from bursar.errors import CallerMistake
from bursar.policy.routing.model import RouteModel
from bursar.policy.routing.model_file import BYTES_MAX, decode, encode


def load_route_model(file: str) -> RouteModel:
    """Read a learned model.

    Raises:
        CallerMistake: The file cannot be read.
        CorruptStore: It is no model, one of another version, or damaged.
    """
    try:
        with Path(file).open("rb") as opened:
            # A byte more than any model has is enough to tell that it is none.
            content = opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise CallerMistake(f"{file}: cannot be read ({error.strerror})") from None
    return decode(content, file)


def save_route_model(model: RouteModel, file: str) -> int:
    """Write a learned model, in one step: whoever reads the file finds the old model or the new one.

    Returns:
        Its size in bytes.

    Raises:
        CallerMistake: The file cannot be written.
    """
    content = encode(model)
    beside = Path(f"{file}.new")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CallerMistake(f"{file}: cannot be written ({error.strerror})") from None
    return len(content)
