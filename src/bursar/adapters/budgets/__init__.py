"""Where reservations are held: a `ports.BudgetStore` in memory, and one in Redis that processes share.

    memory.py     the store in memory; counters.py, conversations.py, tombstones.py, recent.py are its parts
    redis.py      the store in Redis; lua/ has its steps, an atomic script each; connection.py, names.py,
                  scripts.py, replies.py, failures.py are its parts
    rules.py      what both stores decide alike, and how long they keep what

Both keep three things. A *counter* has what is settled and what is held. A *lease* is a reservation that is
held, with its amounts, until it ends or is left behind. A *tombstone* says how a reservation ended, so that
ending it again, or holding it late, changes nothing. Of a presumed end it keeps the amounts, so that they can
be corrected.

Who is new: every settle has an order number. A counter remembers the one at which its settled amount reached
`new_limit` (for as long as it stays there), a conversation the one of its first settle. So the order of what
happened decides, whatever clocks show.

Time: the store in memory never lets the time that it is told go back. Redis goes by its own clock, and
takes only the bounds of windows from callers.

`redis.py` needs the extra `redis`; nothing else here imports it.
"""
