"""A batch's journal: JSON lines, each on the disk before what it announces is done."""

import fcntl
import os
from pathlib import Path

import msgspec

from bursar.errors import BadSetting, CorruptStore, StoreFailed
from bursar.policy.batch.records import FORMAT, Head, Record

_RECORD: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_ENCODER = msgspec.json.Encoder()


class MemoryJournal:
    """A journal that is forgotten with its process.

    Args:
        head: Its first record.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        """Take a record in."""
        self.records.append(record)

    def close(self) -> None:
        """Do nothing."""


class FileJournal:
    """A journal in a file, for one process at a time.

    A last line that a crash has torn is not part of it: what that line would have announced was not done.

    Args:
        path: The file; it is made where there is none.
        head: The first record of a new one. One that is there must be of the same work.

    Raises:
        BadSetting: It is of other work, or another process has it.
        CorruptStore: It is no journal.
        StoreFailed: It cannot be read or written.
    """

    def __init__(self, path: Path, head: Head) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StoreFailed(f"cannot open {path}: {error.strerror}") from None
        try:
            self._lock()
            self.head, self.records = self._read(head)
        except BaseException:
            self.close()
            raise

    def append(self, record: Record) -> None:
        """Write a record; it is on the disk when this returns.

        Raises:
            StoreFailed: It could not be written.
        """
        line = _ENCODER.encode(record) + b"\n"
        try:
            os.write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            raise StoreFailed(f"cannot write {self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Give the file back. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadSetting(
                "another bursar batch run is at work on it; wait for that one", place=str(self._path)
            ) from None

    def _read(self, head: Head) -> tuple[Head, list[Record]]:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)
        if not whole:
            self.append(head)
            return head, []
        found, records = _decode(content[:whole], self._path)
        if found.fingerprint != head.fingerprint:
            raise BadSetting(
                "it is of other items, another instruction, schema or model; choose another --out, or delete "
                "it to begin anew",
                place=str(self._path),
            )
        return found, records


def read_journal(path: Path) -> tuple[Head, list[Record]]:
    """Read a journal that another process may be writing.

    Raises:
        BadSetting: It cannot be read.
        CorruptStore: It is no journal.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadSetting(f"cannot be read: {error.strerror}", place=str(path)) from None
    return _decode(content[: content.rfind(b"\n") + 1], path)


def _decode(content: bytes, path: Path) -> tuple[Head, list[Record]]:
    records: list[Record] = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            records.append(_RECORD.decode(line))
        except msgspec.DecodeError as error:
            raise CorruptStore(f"{path}:{number}: cannot be read: {error}; choose another --out") from None
    head = records[0] if records else None
    if not isinstance(head, Head) or head.format != FORMAT:
        raise CorruptStore(f"{path} is no journal of this version of bursar batch; choose another --out")
    return head, records[1:]
