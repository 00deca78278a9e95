"""The gateway: raw ASGI handlers in front of the asyncio driver.

Routes are a table (`routes.py`); every path that reaches a provider is either billed through an exchange
or declared free of charge there, and everything else is refused. No handler lets an exception out: a
fault of our own is a 502 or 503 with an operation id.
"""
