"""The ledger: one durable entry per call, and roll-ups that always equal their sum.

    schema.py      tables, as SQLAlchemy Core metadata; migrations/ builds the same ones step by step
    rows.py        entries and tallies as rows, and back
    writer.py      the thread that commits in groups
    group.py       one commit: entries and roll-ups in few, wide statements
    queries.py     reports as SQL
    settled.py     what budgets' counters have settled, as SQL
    erasing.py     making a tenant's entries nobody's
    sqlite.py      `SqliteLedger`, which is all that others use

An entry is durable when `record` returns: write-ahead log, synchronous = FULL. Whatever waits while one
commit runs goes into the next, so a lone call never waits for company and a crowd shares one flush.
Recording an operation id again changes nothing, roll-ups included. A commit that fails fails its calls
with `StoreFailed`, and the next one starts afresh. Several processes may share a file.
"""
