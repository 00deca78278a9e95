"""Noticing spending that is not as usual, within a minute, and seldom in vain.

    options         what is set
    baseline        what is usual of one quantity: level, spread, and the hours of the week
    series          one quantity of a subject's calls, ten at a time, and when it has left its baseline
    rate            calls a minute, against the same hours of earlier days and weeks
    conversations   single conversations against all of their kind
    subject         all of it for one agent and task of a tenant
    watch           all subjects, and who is told of what

Everything is a function of the ledger's entries in their order: no clock, no randomness. Statistics are
floats; they are never booked. Memory is bounded: what was forgotten is learned anew, quietly.
"""
