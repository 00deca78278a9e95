"""Opening the file of a store, and saying what its errors mean."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Self

from sqlalchemy.exc import DBAPIError

from bursar.adapters.sqlite.connection import reader_connection, store_failure
from bursar.adapters.sqlite.kind import StoreKind
from bursar.adapters.sqlite.migration import check, migrate


@contextmanager
def failing(kind: StoreKind, path: Path) -> Generator[None]:
    """Say what an error of a file means that comes up within.

    Raises:
        CorruptStore: It is damaged, or is none of ours.
        StoreFailed: It cannot be read or written.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise store_failure(kind, path, error) from error
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        raise store_failure(kind, path, error.orig) from error


def bring_up_to_date(kind: StoreKind, path: Path) -> None:
    """Bring a file to the newest schema; it is made, with its directory, where there is none.

    Raises:
        CorruptStore: It is damaged, or is none of ours; it is left untouched.
        StoreFailed: It cannot be written, or a newer Bursar wrote it.
    """
    with failing(kind, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        migrate(kind, path)


def exists(kind: StoreKind, path: Path) -> bool:
    """Whether there is a file, at this version's schema.

    Raises:
        CorruptStore: It is damaged, or is none of ours.
        StoreFailed: It cannot be read, or its schema is another.
    """
    with failing(kind, path):
        if not path.exists():
            return False
        with closing(reader_connection(path)) as connection:
            check(kind, connection, path)
    return True


class StoreFile:
    """A store in one file of a data directory.

    Args:
        path: The file, at the newest schema.

    Attributes:
        kind: What it is,
        file_name: and what its file is called.
    """

    kind: ClassVar[StoreKind]
    file_name: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """Open the store of a data directory, which is made where there is none, and bring it up to date.

        Raises:
            CorruptStore: Its file is damaged, or is none of ours; it is left untouched.
            StoreFailed: It cannot be written, or a newer Bursar wrote it.
        """
        path = data_dir / cls.file_name
        bring_up_to_date(cls.kind, path)
        return cls(path)

    @classmethod
    def open_existing(cls, data_dir: Path) -> Self | None:
        """Open the store of a data directory as it is; None where there is none.

        Raises:
            CorruptStore: Its file is damaged, or is none of ours.
            StoreFailed: It cannot be read, or its schema is not this version's.
        """
        path = data_dir / cls.file_name
        return cls(path) if exists(cls.kind, path) else None
