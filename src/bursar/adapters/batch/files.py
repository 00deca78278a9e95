"""The files of a batch: items in, answers and errors out."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from bursar.domain.json_schema import JsonSchema, read_schema
from bursar.errors import BadRequest, BadSetting, StoreFailed


def read_lines(path: Path) -> list[bytes]:
    """Read a file's lines.

    Raises:
        BadSetting: It cannot be read.
    """
    return _read(path, "ITEMS").splitlines()


def read_instruction(path: Path) -> str:
    """Read an instruction.

    Raises:
        BadSetting: The file cannot be read, is empty or no text.
    """
    try:
        text = _read(path, "--instruction").decode()
    except UnicodeDecodeError:
        raise BadSetting(f"{path} is no text in UTF-8", place="--instruction") from None
    if not text.strip():
        raise BadSetting(f"{path} is empty; write what is to be done with each item", place="--instruction")
    return text


def read_schema_file(path: Path) -> JsonSchema:
    """Read the schema of the answers.

    Raises:
        BadSetting: The file cannot be read, or holds no schema.
    """
    content = _read(path, "--schema")
    try:
        found: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadSetting(f"{path}:{error.lineno}: is no JSON: {error.msg}", place="--schema") from None
    try:
        return read_schema(found)
    except BadRequest as error:
        raise BadSetting(f"{path} is no JSON schema: {error}", place="--schema") from None


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines, all of them or none.

    Raises:
        StoreFailed: They could not be written.
    """
    unfinished = path.with_name(f"{path.name}.new")
    try:
        with unfinished.open("wb") as file:
            for row in rows:
                file.write(orjson.dumps(row) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StoreFailed(f"cannot write {path}: {error.strerror}") from None


def _read(path: Path, place: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSetting(f"cannot read {path}: {error.strerror}", place=place) from None
