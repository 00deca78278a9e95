"""History: rewriting the older part of a conversation in rare, large, priced steps.

A rewriting costs once what has to be written to the provider's cache anew, and saves at every turn to come
what is no longer sent. `decide` weighs the two; `steps` holds what was done, so that every later turn of the
thread sends the same bytes.

    options     what an operator sets
    outlook     what the thread's next calls will cost
    candidates  the ways in which a prompt could be rewritten, and what is left of it
    decision    which of them, if any
    steps       a rewriting as it is remembered and applied again
    summary     what the summarising model is asked
"""
