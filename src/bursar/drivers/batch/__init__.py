"""Runs batches: makes the calls that `policy.batch.work` asks for, and journals each before and after.

The journal is written before a call is sent and after its answer was read. What lies between is all that a
crash can leave unknown. Such a call is asked again, byte for byte, where that cannot be paid twice: at a
gateway of Bursar's, which finishes and keeps the answer. At a provider it is asked again only where the
caller says so; else its items are reported as `unseen`.
"""
