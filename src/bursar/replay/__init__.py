"""Replay: what recorded traffic costs, and would cost under other settings, at zero provider cost.

Recorded calls (transcripts, traffic logs) become requests again and run through the same exchange as the
gateway's, on virtual time; the provider double in this process answers them with what was recorded, and
caches and bills as the provider does. So what replay predicts is what the gateway does.

    files       lines of files, the wrong ones named and skipped
    transcripts, traffic    what one line holds
    timeline    all calls in order of time, made up where none was recorded
    provider    the double, answering from the recording
    runner      exchanges on virtual time, to ledger entries
    impact      the bill before and after each technique
    bound       what the same calls would cost if all of their future were known

Files are read once, as they are played: a traffic log of any length takes the memory of a window of its
lines, a transcript that of the conversations that are side by side.
"""
