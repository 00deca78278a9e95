"""The working content store: answers, summaries and full tool results, kept for a while.

    naming.py      names and tenants as digests, so that no text of a key is ever written down
    memory.py      `MemoryContent`: bounded, in this process only
    file.py        the SQLite file: schema, reading, writing, eviction
    writer.py      the thread that writes it, in batches
    sqlite.py      `SqliteContent`: the file behind a front in memory
    erasing.py     counting and deleting what the file has of a tenant
    sealing.py     encryption at rest, where a key is configured
    opening.py     `open_content`: the file, or memory where the file cannot be used

It stands in a file of its own (`content.db`) so that the ledger holds no content. Nothing here is the only
copy of anything that matters: the file is written behind the answer, with synchronous = NORMAL, and what
was used least lately leaves in batches. A file that is damaged or is none of ours is never touched: the
store then works in memory, with a warning, and says so (`is_well`).

A tenant's content is deleted for good: SQLite overwrites it, and the write-ahead log is emptied. One
process at a time owns the file; another one that opens it sees what was there when it did.
"""
