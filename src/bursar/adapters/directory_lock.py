"""Telling whether another process uses the same directory."""

import fcntl
import os
from pathlib import Path


class DirectoryLock:
    """A lock on a directory for as long as this process lives, if nobody else has it.

    Args:
        path: The file that is locked; it is made, and stays.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.is_ours = False
        else:
            self.is_ours = True

    def close(self) -> None:
        """Give the lock back. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_locked(path: Path) -> bool:
    """Whether a process that lives holds the lock of a directory."""
    if not path.exists():
        return False
    lock = DirectoryLock(path)
    lock.close()
    return not lock.is_ours
