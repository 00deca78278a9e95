"""Telling people how far budgets are spent.

`crossings` sees from what calls settle which steps of a ladder have just been crossed. `messages` writes what
people are told. Who is told, once and only once, is the outbox's matter (`adapters.alerts`).
"""
