"""Opening the store that a data directory has, or one in memory where its file cannot be used."""

import logging
from pathlib import Path

from bursar.adapters.content.memory import MemoryContent
from bursar.adapters.content.sqlite import ContentOptions, SqliteContent
from bursar.errors import StoreFailed

LOG = logging.getLogger("bursar.content")


def open_content(data_dir: Path, options: ContentOptions | None = None) -> SqliteContent | MemoryContent:
    """Open a directory's content store; it works in memory where the file is damaged or cannot be written.

    Calls must not fail for want of a cache, and a file that we cannot read must not be destroyed. So it is
    left untouched, the log says what is wrong with it, and the store's `is_well` is false until a restart.
    """
    options = options or ContentOptions()
    try:
        return SqliteContent.open(data_dir, options)
    except StoreFailed as failure:
        LOG.warning("content is kept in memory only, until the next start: %s", failure)
        return MemoryContent(options.front_bytes_max, is_well=False)
