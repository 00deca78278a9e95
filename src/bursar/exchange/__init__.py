"""A call's life, free of I/O: a generator that yields effects and is resumed with their results.

    read → attribute → count → plan → send (retries) → usage → cost lines → ledger entry → reply

Every door runs this and nothing else. Its first law is to break nothing: a request that we cannot improve
goes out as it came, and whatever was sent upstream is recorded, however the call ended.
"""
