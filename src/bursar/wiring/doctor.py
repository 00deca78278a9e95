"""Settings → the doctors of `bursar doctor`."""

from bursar.adapters.model_data import load_cache_rules, load_token_ratios
from bursar.adapters.price_data import load_price_book
from bursar.adapters.tokenizer import SplintrTokenizer
from bursar.replay.diagnosis.ledger import LedgerDoctor
from bursar.replay.diagnosis.sent import Books
from bursar.replay.diagnosis.traffic import TrafficDoctor
from bursar.settings import Settings


def build_traffic_doctor(settings: Settings) -> TrafficDoctor:
    """Build a doctor of recorded calls, at the settings' prices."""
    return TrafficDoctor(_books(settings), SplintrTokenizer())


def build_ledger_doctor(settings: Settings) -> LedgerDoctor:
    """Build a doctor of ledger entries, at the settings' prices."""
    return LedgerDoctor(_books(settings))


def _books(settings: Settings) -> Books:
    return Books(load_price_book(settings.prices.listings()), load_cache_rules(), load_token_ratios())
