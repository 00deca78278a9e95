"""Counting and deleting what a data directory's file keeps of a tenant, beside a server or without one."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bursar.adapters.content.file import FILE_NAME, ContentFile, Room, store_failure
from bursar.adapters.content.naming import tenant_digest
from bursar.adapters.sqlite.connection import reader_connection


def erase_content(data_dir: Path, tenant: str, *, is_dry_run: bool = False) -> int:
    """Delete what is kept for a tenant, for good. A server that runs may have more of it in memory.

    Args:
        data_dir: The data directory.
        tenant: The tenant.
        is_dry_run: Whether it is only counted.

    Returns:
        How many pieces of content those were.

    Raises:
        CorruptStore: The file is damaged, or is none of ours: nobody knows what is in it.
        StoreFailed: Some of it may still be there.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        return 0
    try:
        if is_dry_run:
            with closing(reader_connection(path)) as connection:
                (count,) = connection.execute(_COUNT, (tenant_digest(tenant),)).fetchone()
            return int(count)
        with closing(ContentFile(path, Room())) as file:
            return len(file.delete_tenant(tenant_digest(tenant)))
    except (OSError, sqlite3.Error) as error:
        raise store_failure(path, error) from error


_COUNT = "SELECT count(*) FROM content WHERE tenant = ?"
