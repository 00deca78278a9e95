"""An airline's customers: they change flights."""

from dataclasses import dataclass
from random import Random

from bursar.demo.people import CITIES, day, person, reference
from bursar.demo.scripts import Json, Writer, tool

TOOLS = (
    tool(
        "get_booking",
        "Look a booking up by its reference: passengers, flights, fare, payments.",
        reference="Six letters and digits, such as K3PX7Q.",
    ),
    tool(
        "search_flights",
        "List flights between two airports on a day, with prices for all passengers of a booking.",
        origin="IATA code of the airport of departure.",
        destination="IATA code of the airport of arrival.",
        date="Day of departure, YYYY-MM-DD.",
        reference="The booking that the price difference is worked out for.",
    ),
    tool(
        "change_flight",
        "Change one flight of a booking. It takes effect at once.",
        reference="The booking.",
        flight="Number of the flight that is given up.",
        new_flight="Number of the flight that is taken instead.",
        date="Day of the new flight, YYYY-MM-DD.",
    ),
    tool("add_note", "Add a note to a booking.", reference="The booking.", text="At most three sentences."),
)

_FARES = ("light", "standard", "flex", "business")
_QUESTIONS = {
    "Can I take my bicycle on the new flight?": (
        "Yes, in a box of at most 175 cm, if you reserve it at least 48 hours before departure. I can do "
        "that for you once the change is made."
    ),
    "Do we still sit together?": (
        "Your seats are given anew on the new flight. I have asked for seats next to each other; you see "
        "them in the app about a day before departure."
    ),
    "What about my bag, is that still included?": (
        "Yes. Your baggage stays as it is in your fare, on the new flight as well."
    ),
}


@dataclass(frozen=True, slots=True)
class _Trip:
    """What a customer has booked, and what they would rather have."""

    customer: str
    code: str
    origin: Json
    destination: Json
    flight: str
    fare: str
    passengers: int
    old: str
    new: str


def write(writer: Writer, draw: Random) -> str:
    """Write one conversation; return the customer's first message."""
    trip = _trip(draw)
    origin, destination = trip.origin["city"], trip.destination["city"]
    first = (
        f"Hi, this is {trip.customer}, booking {trip.code}. I need to move my flight to {destination} from "
        f"{trip.old} to {trip.new}, is that possible?"
    )
    writer.user(first)
    writer.call("get_booking", {"reference": trip.code}, _booking(draw, trip))
    writer.say(
        f"I have your booking in front of me: {trip.flight} from {origin} to {destination} on {trip.old}, "
        f"{trip.passengers} in all, fare {trip.fare}. Shall I look for flights on {trip.new}?"
    )
    writer.user(draw.choice(("Yes please.", "Yes, ideally before noon.", "Please do. The cheapest is fine.")))
    best = _offer(writer, draw, trip)
    if draw.random() < 0.6:
        question, answer = draw.choice([*_QUESTIONS.items()])
        writer.user(question)
        writer.say(answer)
    _change(writer, trip, draw.choice(best))
    writer.user(
        draw.choice(("Great, thank you!", "Thanks, that was quick.", "Perfect. Will I get an email?"))
    )
    writer.say("You will have a confirmation by email in a few minutes. Have a good flight.")
    return first


def _trip(draw: Random) -> _Trip:
    origin, destination = draw.sample(CITIES, 2)
    return _Trip(
        customer=person(draw),
        code=reference(draw),
        origin=origin,
        destination=destination,
        flight=f"HB{draw.randint(100, 999)}",
        fare=draw.choice(_FARES),
        passengers=draw.randint(1, 4),
        old=day(draw),
        new=day(draw),
    )


def _offer(writer: Writer, draw: Random, trip: _Trip) -> list[Json]:
    """Let the agent search, and offer the three cheapest flights."""
    flights = [_flight(draw, trip, trip.new) for _ in range(draw.randint(5, 9))]
    asked = {
        "origin": trip.origin["airport"],
        "destination": trip.destination["airport"],
        "date": trip.new,
        "reference": trip.code,
    }
    writer.call("search_flights", asked, {"currency": "EUR", "flights": flights})
    best = sorted(flights, key=lambda option: option["difference_eur"])[:3]
    options = "\n".join(
        f"- {option['flight']}, {option['departs'][11:16]} to {option['arrives'][11:16]}, "
        f"{option['stops'] or 'no'} stops, {option['difference_eur']} EUR more for all"
        for option in best
    )
    writer.say(f"These are the cheapest on {trip.new}:\n{options}\nWhich one would you like?")
    return best


def _change(writer: Writer, trip: _Trip, chosen: Json) -> None:
    """Let the customer choose, and the agent change the booking."""
    flight, charged = chosen["flight"], chosen["difference_eur"]
    writer.user(f"Then {flight}, please. Go ahead.")
    changed = {"reference": trip.code, "flight": trip.flight, "new_flight": flight, "date": trip.new}
    writer.call("change_flight", changed, {"status": "changed", "charged_eur": charged, **changed})
    note = f"Moved {trip.flight} to {flight} on {trip.new} at the customer's word; fare {trip.fare}."
    writer.call("add_note", {"reference": trip.code, "text": note}, {"status": "added"})
    writer.say(f"Done: you now fly with {flight} on {trip.new}. Your card was charged {charged} EUR.")


def _booking(draw: Random, trip: _Trip) -> Json:
    return {
        "reference": trip.code,
        "fare": trip.fare,
        "bought": {
            "channel": "website",
            "at": f"2026-09-{draw.randint(10, 28)}T10:14:00Z",
            "card": "**** 4417",
        },
        "passengers": [
            {
                "name": trip.customer if number == 0 else person(draw),
                "type": "adult",
                "tier": draw.choice(("none", "silver", "gold")),
                "baggage": {"cabin_kg": 8, "pieces": draw.randint(0, 2), "piece_kg": 23},
                "seat": f"{draw.randint(4, 32)}{draw.choice('ABCDEF')}",
                "special_requests": [],
            }
            for number in range(trip.passengers)
        ],
        "flights": [_flight(draw, trip, trip.old) | {"flight": trip.flight, "status": "confirmed"}],
        "notes": [],
    }


def _flight(draw: Random, trip: _Trip, date: str) -> Json:
    hour = draw.randint(6, 20)
    return {
        "flight": f"HB{draw.randint(100, 999)}",
        "origin": trip.origin,
        "destination": trip.destination,
        "departs": f"{date}T{hour:02d}:{draw.randrange(0, 60, 5):02d}:00",
        "arrives": f"{date}T{hour + 2:02d}:{draw.randrange(0, 60, 5):02d}:00",
        "stops": draw.choice((0, 0, 0, 1)),
        "aircraft": draw.choice(("A320neo", "A321neo", "E195-E2")),
        "seats_left": draw.randint(1, 60),
        "difference_eur": draw.randint(0, 180) * trip.passengers,
    }
