"""Tool results in fewer tokens: the same content written shorter, or, where an operator asks, a part of it.

`codec` re-encodes without loss; `limits` leaves things out and says so; `selection` serves parts of a full
result; `references` points at an equal earlier result; `retention` measures what of earlier results is
still there when it is needed. All of it is a function of its arguments, so a result that was encoded once
has the same bytes at every later turn.
"""
