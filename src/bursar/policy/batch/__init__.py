"""Many items in one call: the instruction is paid for once per call instead of once per item.

`items` reads what is to be answered, `prompt` writes the one request for several items, `answers` takes its
answer apart again and checks each item's part against the schema, `sizing` says how many items go together,
and `work` says which call is to be made next and what is tried again. `worth` says what the same items would
have cost one by one. Nothing here sends anything: a driver does, and journals what it did; the same journal
played to a fresh `Work` brings it to the same state.
"""
