"""Routing: cheap models for what is easy, dear ones for what is hard.

Here is how hard a call looks, as a number from 0 to 1. Where a call names no task, it is compared with the
threshold of its agent: from there up the call goes to the stronger model.

    texts      what is seen of a text: its words and its measures, from a bounded excerpt
    signals    a call's own signs and its agent's past, and a score of them that needs no training
    features   a prompt as a learned model sees it
    model      a learned model, and its score
    model_file the bytes in which a learned model is kept
    curve      cost against quality, for all thresholds of a score

A learned model is fitted outside (`adapters.routing`), with what is seen here, and judged by the very
function that scores a call.
"""
