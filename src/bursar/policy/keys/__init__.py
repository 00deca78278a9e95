"""Virtual keys: who is let in, and for what.

    rights.py      what a key allows; whether a key's rights lie within those of whoever made it
    ring.py        all keys, by the hash under which they are looked up

A key pins what it names: a call that says otherwise is refused, not corrected. Nothing here is secret: a ring
holds hashes only.
"""
