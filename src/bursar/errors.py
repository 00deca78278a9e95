"""Every error that Bursar raises, in one tree.

    BursarError
    ├── CallerMistake            the caller can mend it; the CLI exits 2
    │   ├── BadRequest           a request that no provider could take (HTTP 400)
    │   ├── NotPermitted         a call that its key does not allow (HTTP 403)
    │   ├── BadSetting           a setting that is unknown, of a wrong type or out of bounds
    │   ├── BadLine              a line of a file that cannot be read
    │   └── BadAmount            an amount of money that is none
    ├── UnpricedModel            no price is known for a model
    ├── UnpricedClass            a token class was used for which the model has no rate
    ├── BadUsage                 a provider's usage contradicts itself
    ├── UpstreamFailed           a provider could not be reached, or broke off
    ├── DemoFailed               the demo's own servers or agents failed
    └── StoreFailed              a store could not be read or written
        ├── CorruptStore         its file is damaged, or is none of ours
        ├── UnfitStore           it is such that nothing can be kept there safely
        ├── ChangedMeanwhile     what was to be replaced is no longer as it was read
        └── EntryRefused         an entry is such that no ledger could hold it

Expected outcomes (a refusal, a cache miss, a cut stream) are values, not errors. A message says what
is wrong, where, and how to mend it.
"""


class BursarError(Exception):
    """Something went wrong in Bursar."""


class CallerMistake(BursarError):
    """The caller asked for something that cannot be done; the message says how to mend it."""


class BadRequest(CallerMistake):
    """A request body that its dialect does not allow.

    Attributes:
        place: Path of the offending field, such as `messages[3].content`; empty for the whole body.
    """

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


class NotPermitted(CallerMistake):
    """A call that the key it came with does not allow; the message names what it allows."""


class BadSetting(CallerMistake):
    """A setting that is unknown, of a wrong type or out of bounds.

    Attributes:
        place: File and key of the setting, such as `bursar.toml: server.port`.
    """

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


class BadLine(CallerMistake):
    """A line of an input file that cannot be read.

    Attributes:
        file: The file as the caller named it.
        line: Its number, from 1.
    """

    def __init__(self, message: str, *, file: str, line: int) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line


class BadAmount(CallerMistake):
    """Text that is no amount of money, or one finer than a nanodollar."""


class UnpricedModel(BursarError):
    """No price is known for a model, so what it costs is unknown (never zero)."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f'no price is known for model "{model}"; add [prices."{model}"] to bursar.toml, '
            f'or admit unpriced models with unpriced = "admit"'
        )
        self.model = model


class UnpricedClass(BursarError):
    """A token class was used for which the model's price has no rate."""

    def __init__(self, model: str, token_class: str) -> None:
        super().__init__(f'the price of model "{model}" has no rate for {token_class}')
        self.model = model
        self.token_class = token_class


class BadUsage(BursarError):
    """A provider's usage object contradicts itself, such as more cached tokens than prompt tokens."""


class DemoFailed(BursarError):
    """The demo's own servers did not start, or one of its agents got an error."""


class StoreFailed(BursarError):
    """A store could not be read or written."""


class ChangedMeanwhile(StoreFailed):
    """What was to be replaced is no longer as it was read: somebody else changed it at the same time."""


class EntryRefused(StoreFailed):
    """An entry is such that no ledger could hold it, however often it is tried."""


class CorruptStore(StoreFailed):
    """A store's file is damaged, or is none of ours."""


class UnfitStore(StoreFailed):
    """A store is too old, or set up so that it may lose what it keeps; the message says how to mend it."""


class UpstreamFailed(BursarError):
    """A provider could not be reached, or broke off.

    Attributes:
        sent: Whether the request may have reached the provider.
        timed_out: Whether time ran out.
    """

    def __init__(self, reason: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        self.timed_out = timed_out
