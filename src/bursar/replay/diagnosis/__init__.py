"""Diagnosis: why prompts were not read from the cache, what that cost, and how to mend it.

Two doctors find the same kind of thing. `traffic` has recorded calls with their content: each is compared
with the call before it that it is most like, and billed by the cache model as it was sent. `ledger` has
entries only: it knows what was billed, and when, but not which text changed.

    findings    what was found, added up by agent and reason
    mends       what to do about it
    losses      what tokens that could have been read cost instead
    texts       a request's texts by place
    sent        what the provider's cache made of recorded calls, as they were sent
    habits      which call an agent's next one is compared with
    traffic     the doctor of recorded calls
    ledger      the doctor of entries

A loss is what the tokens that an earlier call left to be read were billed at, less what reading them costs;
where reading them takes a write that nobody paid for, less that too. A call has one reason at most: what the
provider's cache stumbled over first. Nothing is said of calls that lost hardly anything.
"""
