"""Who is told of alerts, once and only once over all processes that share a data directory.

    schema.py       tables, as SQLAlchemy Core metadata; migrations/ builds the same ones step by step
    outbox.py       `Outbox`: alerts and their deliveries in one SQLite file
    recording.py    from crossings to alerts in the outbox
    erasing.py      taking a tenant out of it
    delivering.py   from the outbox to notifiers, with retries
    apprise.py      notifiers by Apprise; the only module that knows it

Whoever inserts an alert first decides that it is told, since its scope, unit, window and threshold are a key.
Each attempt to deliver it is leased: where a process dies, another one tries again once the lease is over. So
an alert is told twice only if a process dies after a notifier took it and before that is written down.

None of this is waited for by a call.
"""
