"""Invoices whose arithmetic is written out, against dialects, price book and `cost`."""

import json
import tomllib
from datetime import UTC, datetime, time
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from bursar.adapters.price_data import load_price_book
from bursar.domain.money import usd_text
from bursar.domain.price_book import PriceBook
from bursar.domain.prices import CostLine, Terms, cost
from bursar.domain.usage import Usage
from bursar.settings.prices import PriceSection
from bursar.wire.dialects import DIALECTS

FOLDER = Path(__file__).parent / "invoices"
FILES = {file.stem: tomllib.loads(file.read_text()) for file in sorted(FOLDER.glob("*.toml"))}
INVOICES = [
    pytest.param(name, invoice, id=f"{name}: {invoice['title']}")
    for name, file in FILES.items()
    for invoice in file["invoices"]
]


@cache
def book_of(name: str) -> PriceBook:
    return load_price_book(PriceSection.model_validate(FILES[name].get("prices", {})).listings())


def anthropic_answer(usage: dict, tier: str) -> bytes:
    return json.dumps({"type": "message", "role": "assistant", "content": [], "usage": usage}).encode()


def openai_answer(usage: dict, tier: str) -> bytes:
    service_tier = "default" if tier == "standard" else tier
    return json.dumps(
        {"object": "chat.completion", "choices": [], "usage": usage, "service_tier": service_tier}
    ).encode()


ANSWERS = {
    "anthropic": (DIALECTS["anthropic.messages"], anthropic_answer),
    "openai": (DIALECTS["openai.chat"], openai_answer),
}


def quantity_and_exact_nusd(arithmetic: str) -> tuple[int, Fraction]:
    """Work out `1200 x 3.00 x 0.5 = 1800`, in microdollars."""
    left, right = arithmetic.split(" = ")
    quantity, *factors = left.split(" x ")
    product = Fraction(quantity)
    for factor in factors:
        product *= Fraction(factor)
    assert product == Fraction(right), arithmetic
    return int(quantity), product * 1000


@pytest.mark.parametrize(("name", "invoice"), INVOICES)
def test_the_written_arithmetic_is_right(name, invoice):
    for line in invoice["lines"]:
        _, exact = quantity_and_exact_nusd(line["arithmetic"])
        assert line["nusd"] == round(exact)  # Python rounds a Fraction half to even.
    assert invoice["total_usd"] == usd_text(sum(line["nusd"] for line in invoice["lines"]))


@pytest.mark.parametrize(("name", "invoice"), INVOICES)
def test_the_code_comes_to_the_same_invoice(name, invoice):
    quantities = {line["item"]: quantity_and_exact_nusd(line["arithmetic"])[0] for line in invoice["lines"]}
    at_noon_s = datetime.combine(invoice["on"], time(12), UTC).timestamp()
    price = book_of(name).price(invoice["model"], at_noon_s)
    assert price is not None
    lines = cost(Usage(**quantities), price, Terms(invoice.get("tier", "standard"), invoice.get("geo", "")))
    expected = [CostLine(line["item"], quantities[line["item"]], line["nusd"]) for line in invoice["lines"]]
    assert list(lines) == expected


@pytest.mark.parametrize(("name", "invoice"), [case for case in INVOICES if "reported" in case.values[1]])
def test_what_the_provider_reports_becomes_the_classes_of_the_invoice(name, invoice):
    dialect, write = ANSWERS[name]
    tier = invoice.get("tier", "standard")
    answer = dialect.answer(write(json.loads(invoice["reported"]), tier))
    expected = {line["item"]: quantity_and_exact_nusd(line["arithmetic"])[0] for line in invoice["lines"]}
    assert answer.usage == Usage(**expected)
    assert answer.terms == Terms(tier, invoice.get("geo", ""))
