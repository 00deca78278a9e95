"""Plain text without what only a terminal sees: escape codes, and blanks at the ends of lines."""

import re

# ECMA-48, fifth edition, sections 5.3 and 5.4: a control sequence; a string up to its terminator (or the
# bell, as xterm takes it); any other escape sequence; and an escape that begins nothing. Each repeats
# possessively, so that no text takes more than one look at each character.
_ESCAPE_CODE = re.compile(
    r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|[\]PX^_][^\x07\x1b]*+(?:\x07|\x1b\\)|[ -/]*+[0-~])|\x1b"
)
_BLANKS = " \t"


def clean(text: str) -> str:
    """Return a text without terminal escape codes and without blanks at the ends of its lines."""
    if "\x1b" in text:
        text = _ESCAPE_CODE.sub("", text)
    if not _has_trailing_blanks(text):
        return text
    return "\n".join([_strip_line(line) for line in text.split("\n")])


def _has_trailing_blanks(text: str) -> bool:
    return text.endswith((" ", "\t")) or any(end in text for end in (" \n", "\t\n", " \r\n", "\t\r\n"))


def _strip_line(line: str) -> str:
    if line.endswith("\r"):
        return line[:-1].rstrip(_BLANKS) + "\r"
    return line.rstrip(_BLANKS)
