"""What operators set while the gateway runs, and a log of every change.

    schema.py      tables, as SQLAlchemy Core metadata; migrations/ builds the same ones step by step
    sqlite.py      `SqliteAdmin`, which is all that others use
    erasing.py     taking a tenant out of it, and out of the log

A change, its place in the audit log and the new version are one transaction, durable when the method returns
(synchronous = FULL). The version of the state is the number of its last change, so that a process that looks
at it every few seconds reads the rest only when there is something new. Several processes may share a file.
"""
