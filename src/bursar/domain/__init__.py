"""The values that everything else speaks in: money, tokens, prices, prompts, ledger entries.

All of it is immutable data and arithmetic on it. Money is an integer of nanodollars (nusd, 10⁻⁹ USD);
token classes are disjoint; what is unknown is `None`, never zero. Times are seconds since the epoch,
in UTC, as the caller's clock gives them (`at_s`); nothing here reads a clock.
"""
