"""What an operator sets about an agent's history."""

import msgspec

_RECENT_SHARE = 3


class HistoryOptions(msgspec.Struct, frozen=True):
    """What an operator sets about an agent's history. As it stands, history is left alone.

    Attributes:
        tokens: Prompt tokens from which a rewriting is considered; None: none is for its saving.
        limit: Prompt tokens that no call may exceed; None: the model's window less the output, where
            `tokens` is set and the window is known.
        recent_tokens: What stays verbatim at the conversation's end, in tokens; None: a third of `tokens`,
            or else of the limit.
        summary_model: The model that summarises; None: tool results are masked only.
        summary_tokens_max: The longest summary.
        pinned: Messages that hold one of these texts stay verbatim.
        pinned_first: So do the first messages in which a user says something, this many. The very first
            one always does where a summary takes the place of others.
    """

    tokens: int | None = None
    limit: int | None = None
    recent_tokens: int | None = None
    summary_model: str | None = None
    summary_tokens_max: int = 1_000
    pinned: tuple[str, ...] = ()
    pinned_first: int = 1

    @property
    def enabled(self) -> bool:
        """Whether history may be rewritten at all."""
        return self.tokens is not None or self.limit is not None

    def limit_for(self, window_tokens: int | None) -> int | None:
        """Return the prompt tokens that no call may exceed; None where there is no such bound.

        Args:
            window_tokens: The model's window less the output; None where unknown.
        """
        if self.limit is None:
            return window_tokens if self.tokens is not None else None
        return self.limit if window_tokens is None else min(self.limit, window_tokens)

    def recent(self, limit: int | None) -> int:
        """Return what stays verbatim at the end, in tokens, given what `limit_for` returned."""
        if self.recent_tokens is not None:
            return self.recent_tokens
        return (self.tokens or limit or 0) // _RECENT_SHARE
