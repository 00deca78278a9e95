"""A bank's customers: they dispute payments that look wrong."""

from random import Random

from bursar.demo.people import CITIES, day, reference
from bursar.demo.scripts import Json, Writer, tool

TOOLS = (
    tool("list_cards", "List a customer's cards with their status and limits.", customer="Customer number."),
    tool(
        "list_transactions",
        "List a card's transactions, newest first.",
        card="Last four digits of the card.",
        since="First day, YYYY-MM-DD.",
    ),
    tool("block_card", "Block a card for good and order a new one.", card="Last four digits.", reason="Why."),
    tool(
        "open_dispute",
        "Open a dispute about one transaction.",
        transaction="Id of the transaction.",
        kind="not_recognised, wrong_amount, charged_twice, not_received or cancelled_subscription.",
        tried="What the customer has tried with the merchant.",
    ),
)

_MERCHANTS = (
    "Blue Lamp Media",
    "Quay Market",
    "Orbit Fuel",
    "Tall Oak Books",
    "Pixel Harbour",
    "Nine Bridges Cafe",
)


def write(writer: Writer, draw: Random) -> str:
    """Write one conversation; return the customer's first message."""
    number = f"{draw.randint(10**7, 10**8 - 1)}"
    merchant, amount = draw.choice(_MERCHANTS), f"{draw.randint(12, 480)}.{draw.randint(0, 99):02d}"
    first = (
        f"I do not know a payment of {amount} EUR to {merchant} on my card. My customer number is {number}."
    )
    writer.user(first)
    cards = [_card(draw) for _ in range(draw.randint(1, 3))]
    writer.call("list_cards", {"customer": number}, {"customer": number, "cards": cards})
    card = cards[0]["last_four"]
    writer.say(f"I am sorry, let us look at it together. Is it about the card that ends in {card}?")
    writer.user("Yes, that one.")
    rows = [_transaction(draw) for _ in range(draw.randint(7, 10))]
    rows[draw.randrange(4)] |= {
        "merchant": merchant,
        "amount_eur": amount,
        "status": "booked",
        "entry": "online",
    }
    found = next(row for row in rows if row["merchant"] == merchant and row["amount_eur"] == amount)
    writer.call(
        "list_transactions", {"card": card, "since": "2026-11-01"}, {"card": card, "transactions": rows}
    )
    writer.say(
        f"There it is: {amount} EUR to {merchant} on {found['date']}, paid online without the card being "
        "present. Do you, or does anyone who uses your card, have a subscription there?"
    )
    writer.user(
        draw.choice(("No, nobody.", "No, I have never heard of them.", "No. I live alone, it was not me."))
    )
    writer.say(
        "Then somebody else may have your card's number. I would block the card for good, which cannot be "
        "undone, order a new one, and open a dispute. Shall I?"
    )
    if draw.random() < 0.5:
        writer.user("How long until I have a new card?")
        writer.say("Four working days by post. The digital one is ready in the app within minutes.")
    writer.user("Yes, please do that.")
    writer.call(
        "block_card", {"card": card, "reason": "payment not recognised"}, {"status": "blocked", "days": 4}
    )
    dispute = {"transaction": found["transaction"], "kind": "not_recognised", "tried": "nothing yet"}
    case = reference(draw, 8)
    writer.call("open_dispute", dispute, {"case": case, "status": "open", "provisional_credit_eur": amount})
    writer.say(
        f"Your card is blocked and the dispute is open under {case}. {amount} EUR are credited for now; "
        "they are taken back only if the merchant can prove the order."
    )
    writer.user("Thank you.")
    writer.say(f"You are welcome. Nothing else is open; you will hear about {case} within ten days.")
    return first


def _card(draw: Random) -> Json:
    return {
        "last_four": f"{draw.randint(0, 9999):04d}",
        "kind": draw.choice(("debit", "credit")),
        "status": "active",
        "limits_eur": {"day": 1000, "month": 5000, "online": 800, "cash": 500},
        "valid_until": "2028-07",
        "devices": [{"wallet": "phone", "added": day(draw), "active": True}],
    }


def _transaction(draw: Random) -> Json:
    place = draw.choice(CITIES)
    return {
        "transaction": reference(draw, 10),
        "date": f"2026-11-{draw.randint(1, 23):02d}",
        "merchant": draw.choice(_MERCHANTS),
        "category": draw.choice(("media", "groceries", "fuel", "books", "games", "restaurants")),
        "amount_eur": f"{draw.randint(2, 300)}.{draw.randint(0, 99):02d}",
        "status": draw.choice(("booked", "booked", "pending")),
        "entry": draw.choice(("chip", "contactless", "online")),
        "place": {"city": place["city"], "country": place["country"]},
        "authorisation": reference(draw, 6),
    }
