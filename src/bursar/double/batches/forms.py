"""Forms as files are uploaded with (`multipart/form-data`, RFC 7578)."""

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb'\bfilename="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form."""

    content: bytes
    filename: str


def read_form(content_type: str, body: bytes) -> dict[str, Part]:
    """Read a form; what is none has no fields."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().startswith("multipart/form-data"):
        return {}
    parts: dict[str, Part] = {}
    for raw in body.split(b"--" + boundary[1].encode("latin-1"))[1:]:
        head, found, content = raw.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if found and name is not None:
            filename = _FILENAME.search(head)
            parts[name[1].decode("utf-8", "replace")] = Part(
                content.removesuffix(b"\r\n"), filename[1].decode("utf-8", "replace") if filename else ""
            )
    return parts
