"""Drivers execute an exchange's effects. All doors run the same exchange; only the driver differs.

A driver owns time, waiting and cancellation. It resumes the exchange with values: a client that left is
`Aborted`, not an exception, and once a request has been sent upstream nothing keeps the exchange from
recording what it cost, a cancelled task included.
"""
