"""What the engine has learned from the traffic that passed: threads, rhythms, and provider caches.

All of it is bounded, lives in memory, and changes only through calls that carry the time. Policies read
it and decide; the exchange tells it what happened. Nothing here holds text: threads are known by digests
of their messages, caches by digests of prefixes. Losing it costs a few dollars' worth of guesses, never
correctness: a fresh view is what every process starts with.
"""
