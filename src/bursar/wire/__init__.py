"""The dialects: reading, editing and answering each provider API's JSON, without I/O.

A dialect splits a request into pieces and blocks (`bursar.domain.prompt`), keeps the raw bytes of all
that it does not change, reads usage from answers and streams into disjoint token classes, and speaks the
provider's error schema. What it does not know passes through untouched. Reading a long thread again
costs its new messages only: pieces are remembered by the digest of their raw bytes (`PieceMemo`).
"""
