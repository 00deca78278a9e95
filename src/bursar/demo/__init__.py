"""The demo: agents of three companies at work, through the gateway, in front of the provider double.

    scripts     what is said in a conversation, and by which model
    cases       seeded conversations of our own making
    recorded    a user's own transcripts instead
    processes   the double and the gateway, started and ended
    clients     plays scripts through the official SDKs
    show        all of it together, to what there is to tell

Nothing leaves the machine and nothing is spent: the double answers from the scripts themselves.
"""
