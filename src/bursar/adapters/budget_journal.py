"""What this process holds, written down before it is sent, so that a crash forgets none of it.

Each process writes to a file of its own in the data directory: a line of JSON when a reservation is opened
(or extended: the last line of an id counts), and one when it is closed. What limits a call in a counter is
spelt out at its first use in a file, with a number that stands for it from there on: calls alike share nearly
all of it, and it is nine tenths of a line. The file has its full size from the
start and is mapped into memory, so that to write is to copy: what was copied outlives the process, however
that dies, and no write can meet a full disk. Each system call of the event loop would cost some 50 µs beside
a busy ledger (measured 2026-11-24). A power cut loses what the operating system had not written yet, unless
`sync` is set (one flush to the disk per line: milliseconds).

A process holds a lock on its file for as long as it lives (`flock`; a child made by `fork` would hold it
too). So a file whose lock is free was left by a process that died: `recover` returns what it held. Whoever
recovers holds the lock meanwhile, and removes the file when all of it is in the ledger. One with lines that
cannot be read is put aside instead, for a person to look at.

`closed` means that the ledger has the call, or that it took nothing. A call whose entry is still waiting to
be written stays open here.

A file that is full is written anew with what is open.
"""

import fcntl
import mmap
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from bursar.domain.reservations import Demand, End, Reservation, Throttle
from bursar.errors import StoreFailed

DIRECTORY = "journal"
"""Of the data directory."""

SIZE_BYTES = 8 << 20

_SUFFIX = ".v2.jsonl"
_UNFINISHED = ".new"
_UNREADABLE = ".unreadable"
_UNFINISHED_FOR_S = 60.0
_READ_BYTES_MAX = 1 << 30

# What the file holds where nothing has been written yet.
_BLANK = b"\0"


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A reservation that is about to be, or was, sent for.

    Attributes:
        at_s: When.
        reservation: What is held.
    """

    at_s: float
    reservation: Reservation


class _Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="opened", tag_field="event"):
    """How an opened reservation is written; fields as in `Opened` and `Reservation`.

    Attributes:
        numbers: Those of its demands.
        spelt: The demands that have not stood in the file before, with their numbers.
    """

    at_s: float
    reservation_id: str
    conversation: str
    numbers: tuple[int, ...]
    amounts: tuple[int, ...]
    ttl_s: int
    note: str
    throttles: tuple[Throttle, ...] = ()
    spelt: tuple[tuple[int, Demand], ...] = ()

    def read(self, demands: dict[int, Demand]) -> tuple[Opened, bool]:
        """Return what was opened, and whether that is all of it: a demand that stands nowhere is left out.

        Args:
            demands: Those that the lines before it spell; it adds its own.
        """
        demands.update(self.spelt)
        asked = [
            (demands[number], amount)
            for number, amount in zip(self.numbers, self.amounts, strict=False)
            if number in demands
        ]
        reservation = Reservation(
            self.reservation_id,
            self.conversation,
            tuple([demand for demand, _ in asked]),
            tuple([amount for _, amount in asked]),
            self.throttles,
            self.ttl_s,
            self.note,
        )
        return Opened(self.at_s, reservation), len(asked) == len(self.numbers) == len(self.amounts)


class Closed(msgspec.Struct, frozen=True, gc=False, tag="closed", tag_field="event"):
    """A reservation that ended; the ledger has what it took.

    Attributes:
        reservation_id: Which.
        end: How.
        amounts: What was taken of each demand's counter; empty for nothing.
    """

    reservation_id: str
    end: End
    amounts: tuple[int, ...] = ()


_encode = msgspec.json.Encoder().encode
_EVENT = msgspec.json.Decoder(_Line | Closed)


@dataclass(frozen=True, slots=True)
class _File:
    """A file of full size, mapped into memory, whose lock is held."""

    descriptor: int
    content: mmap.mmap

    def close(self) -> None:
        self.content.close()
        os.close(self.descriptor)


class _Writer:
    """Writes the lines of one file."""

    def __init__(self) -> None:
        # By identity, which stays a demand's own for as long as it stands here.
        self._numbers: dict[int, tuple[int, Demand]] = {}

    def line(self, opened: Opened) -> bytes:
        """Return the next line of the file."""
        known, reservation = self._numbers, opened.reservation
        numbers: list[int] = []
        spelt: list[tuple[int, Demand]] = []
        for demand in reservation.demands:
            numbered = known.get(id(demand))
            if numbered is None:
                known[id(demand)] = numbered = len(known), demand
                spelt.append(numbered)
            numbers.append(numbered[0])
        line = _Line(
            opened.at_s,
            reservation.reservation_id,
            reservation.conversation,
            tuple(numbers),
            reservation.amounts,
            reservation.ttl_s,
            reservation.note,
            reservation.throttles,
            tuple(spelt),
        )
        return _encode(line) + b"\n"


class BudgetJournal:
    """A `ports.HoldJournal` in a file. Not thread-safe.

    Args:
        directory: Where the files are.
        sync: Whether every line waits for the disk.
        size_bytes: How long the file is; twice as long as what is open, where that takes more.
    """

    def __init__(self, directory: Path, *, sync: bool = False, size_bytes: int = SIZE_BYTES) -> None:
        self._directory = directory
        self._sync = sync
        self._size_least = size_bytes
        self._open: dict[str, Opened] = {}
        self._writer = _Writer()
        self._path = directory / f"{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}"
        self._file: _File | None = self._make(b"")
        self._end = 0

    @classmethod
    def open(cls, data_dir: Path, *, sync: bool = False) -> Self:
        """Begin the journal of this process in a data directory, which is made where there is none.

        Raises:
            StoreFailed: It cannot be written.
        """
        directory = data_dir / DIRECTORY
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failure(directory, error) from error
        return cls(directory, sync=sync)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def opened(self, reservation: Reservation, at_s: float) -> None:
        """Write down what is held for a call, before anything is sent; again when that becomes more.

        Raises:
            StoreFailed: It may not be written; the call must not be sent.
        """
        opened = Opened(at_s, reservation)
        line = self._writer.line(opened)
        if not self._fits(line):
            self._begin_anew(len(line))
            line = self._writer.line(opened)
        self._write(line)
        self._open[reservation.reservation_id] = opened

    def closed(self, reservation_id: str, end: End, amounts: Sequence[int] = ()) -> None:
        """Write down that a reservation has ended, once the ledger has its call.

        One that is not open here is none of this process's, or was closed before: nothing is written.

        Raises:
            StoreFailed: It may not be written. Then it is taken for open after a crash, which changes
                nothing, since the ledger has the call.
        """
        if self._open.pop(reservation_id, None) is not None:
            line = _encode(Closed(reservation_id, end, tuple(amounts))) + b"\n"
            if not self._fits(line):
                self._begin_anew(len(line))
            self._write(line)

    def forget_ended(self) -> None:
        """Write the file anew with what is open: what has ended is in the ledger, and need not stand here.

        Raises:
            StoreFailed: It could not be written; the old file stays.
        """
        if self._file is not None:
            self._begin_anew(0)

    def close(self) -> None:
        """End the journal; what is open then is left for `recover`. May be called again."""
        file, self._file = self._file, None
        if file is None:
            return
        if not self._open:
            self._path.unlink(missing_ok=True)
        file.close()

    def _fits(self, line: bytes) -> bool:
        """Whether the file has room for a line."""
        return self._end + len(line) <= len(self._opened_file().content)

    def _write(self, line: bytes) -> None:
        """Append a line that fits."""
        file, end = self._opened_file(), self._end + len(line)
        file.content[self._end : end] = line
        self._end = end
        if self._sync:
            try:
                file.content.flush()
            except OSError as error:
                raise _failure(self._path, error) from error

    def _opened_file(self) -> _File:
        if self._file is None:
            raise StoreFailed(f"budget journal {self._path}: it was closed")
        return self._file

    def _begin_anew(self, room_bytes: int) -> None:
        """Write the file anew with what is open, and some room. Where that fails, the old one stays."""
        full, writer = self._opened_file(), _Writer()
        # The line that did not fit may have spelt what stands nowhere yet: if this fails, all is spelt again.
        self._writer = _Writer()
        content = b"".join([writer.line(opened) for opened in self._open.values()])
        self._file = self._make(content, room_bytes)
        self._writer = writer
        self._end = len(content)
        full.close()

    def _make(self, content: bytes, room_bytes: int = 0) -> _File:
        """Make the file, or put another in its place: locked and whole before anybody else sees it."""
        unfinished = self._path.with_name(self._path.name + _UNFINISHED)
        size = max(self._size_least, 2 * (len(content) + room_bytes))
        try:
            descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise _failure(self._directory, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Room that the disk had not granted would be missed when it is written to, by a signal.
            os.posix_fallocate(descriptor, 0, size)
            file = _File(descriptor, mmap.mmap(descriptor, size))
            file.content[: len(content)] = content
            if self._sync:
                file.content.flush()
            unfinished.rename(self._path)
        except OSError as error:
            os.close(descriptor)
            unfinished.unlink(missing_ok=True)
            raise _failure(self._directory, error) from error
        return file


@dataclass(slots=True)
class LeftJournal:
    """The journal of a process that died. Its lock is held until it is removed or given back.

    Attributes:
        path: The file.
        opened: What was held and not closed, as it was last opened, by id, in order.
        closed: What was closed since the file was written anew.
        faults: What could not be read, by file and line.
        is_damaged: Whether what could not be read is more than a last line that was cut off, whose call was
            not sent yet, or is in the ledger.
    """

    path: Path
    opened: Mapping[str, Opened]
    closed: tuple[Closed, ...]
    faults: tuple[str, ...]
    is_damaged: bool
    _file: int = field(repr=False)

    def remove(self) -> Path | None:
        """Remove the file: all of it that can be read is in the ledger. A damaged one is put aside instead.

        Returns:
            What the file is called now, where it was put aside: nobody recovers it again.
        """
        aside = self.path.with_name(self.path.name + _UNREADABLE) if self.is_damaged else None
        if aside is None:
            self.path.unlink(missing_ok=True)
        else:
            self.path.rename(aside)
        self.give_back()
        return aside

    def give_back(self) -> None:
        """Leave the file to whoever recovers it next. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def recover(data_dir: Path) -> Iterator[LeftJournal]:
    """Yield the journals of processes that died, each locked; those of living processes are left alone.

    Raises:
        StoreFailed: A file cannot be read.
    """
    directory = data_dir / DIRECTORY
    _remove_unfinished(directory)
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        try:
            file = _lock(path)
            if file is None:
                continue
            try:
                yield _read(path, file)
            except OSError:
                os.close(file)
                raise
        except OSError as error:
            raise _failure(path, error) from error


def read_open(data_dir: Path) -> list[Reservation]:
    """Return what the journals of a data directory hold open, beside the processes that write them.

    What a process left that died is among it, until it is recovered. A call of which the ledger has the end
    may be, too, for a moment or until then.

    Raises:
        StoreFailed: A file cannot be read.
    """
    found: list[Reservation] = []
    for path in sorted((data_dir / DIRECTORY).glob(f"*{_SUFFIX}")):
        try:
            # No lock is tried: whoever recovers would take one that is held for a living process's.
            lines = path.read_bytes().rstrip(_BLANK).split(b"\n")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _failure(path, error) from error
        found += [event.reservation for event in _replay(path, lines).opened.values()]
    return found


def _remove_unfinished(directory: Path) -> None:
    """Remove files that a process died over before anybody could see them."""
    for path in directory.glob(f"*{_UNFINISHED}"):
        file = _lock(path)
        if file is None:
            continue
        # One that has just been made may be about to be locked.
        if os.fstat(file).st_mtime < time.time() - _UNFINISHED_FOR_S:
            path.unlink(missing_ok=True)
        os.close(file)


def _lock(path: Path) -> int | None:
    """Open and lock a file; None where it has gone or a living process holds it."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody else may have recovered and removed it, or written it anew, before it was locked here.
        if os.fstat(file).st_nlink and stat.S_ISREG(os.fstat(file).st_mode):
            return file
    except BlockingIOError:
        pass
    os.close(file)
    return None


def _read(path: Path, file: int) -> LeftJournal:
    with os.fdopen(file, "rb", closefd=False) as stream:
        lines = stream.read(_READ_BYTES_MAX).rstrip(_BLANK).split(b"\n")
    read = _replay(path, lines)
    return LeftJournal(path, read.opened, tuple(read.closed), tuple(read.faults), read.is_damaged, file)


@dataclass(slots=True)
class _Replayed:
    """What a journal's lines come to; fields as in `LeftJournal`."""

    opened: dict[str, Opened] = field(default_factory=dict[str, Opened])
    closed: list[Closed] = field(default_factory=list[Closed])
    faults: list[str] = field(default_factory=list[str])
    is_damaged: bool = False

    def cannot_read(self, fault: str) -> None:
        self.faults.append(fault)
        self.is_damaged = True


def _replay(path: Path, lines: Sequence[bytes]) -> _Replayed:
    """Return what a journal's lines leave open, what they close, and which of them cannot be read."""
    replayed = _Replayed()
    demands: dict[int, Demand] = {}
    # A journal that ends with a whole line ends with an empty one here.
    last = len(lines)
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if number == last:
            replayed.faults.append(f"{path}:{number}: the last line was cut off")
            continue
        try:
            event = _EVENT.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            replayed.cannot_read(f"{path}:{number}: is no event of a journal: {error}")
            continue
        if isinstance(event, Closed):
            replayed.opened.pop(event.reservation_id, None)
            replayed.closed.append(event)
            continue
        replayed.opened[event.reservation_id], is_whole = event.read(demands)
        if not is_whole:
            # The call was made all the same, and what is known of it counts.
            replayed.cannot_read(f"{path}:{number}: some of what it asks stood in a line that cannot be read")
    return replayed


def _failure(path: Path, error: OSError) -> StoreFailed:
    return StoreFailed(
        f"budget journal {path}: {error.strerror or error}; check the directory, its permissions and the "
        f"disk's room"
    )
