"""A shop's customers: they exchange what does not fit."""

from random import Random

from bursar.demo.people import day, person, reference
from bursar.demo.scripts import Json, Writer, tool

TOOLS = (
    tool(
        "find_orders", "List a customer's latest orders.", customer="Name as in the order, or email address."
    ),
    tool("get_order", "Look an order up with items, parcels and payments.", order="Order number."),
    tool(
        "check_stock",
        "Show where an article is in stock, by warehouse and size.",
        article="Article number.",
        country="Two letters: where it is to be delivered.",
    ),
    tool(
        "create_exchange",
        "Create an exchange and send the label for the return by email.",
        order="Order number.",
        item="Number of the item in the order.",
        size="The size wanted instead.",
    ),
)

_ARTICLES = ("wool cardigan", "linen shirt", "rain jacket", "work trousers", "running shoes", "bed linen")
_SIZES = ("XS", "S", "M", "L", "XL", "XXL")


def write(writer: Writer, draw: Random) -> str:
    """Write one conversation; return the customer's first message."""
    customer = person(draw)
    article = draw.choice(_ARTICLES)
    first = f"Hello, the {article} I ordered does not fit. Can I get another size? My name is {customer}."
    writer.user(first)
    orders = [_head(draw) for _ in range(draw.randint(3, 6))]
    writer.call("find_orders", {"customer": customer}, {"customer": customer, "orders": orders})
    listed = ", ".join(f"{order['order']} of {order['ordered']}" for order in orders[:3])
    writer.say(f"I see several orders of yours: {listed}. In which of them is the {article}?")
    order = draw.choice(orders[:3])["order"]
    writer.user(f"It is {order}.")
    items = [_item(draw, number, article) for number in range(1, draw.randint(3, 6))]
    details = {
        "order": order,
        "items": items,
        "parcels": [_parcel(draw) for _ in range(2)],
        "paid": "card **** 0912",
    }
    writer.call("get_order", {"order": order}, details)
    item = items[0]
    writer.say(
        f"Found it: {article}, size {item['size']}, {item['price_eur']} EUR. Which size would you like?"
    )
    wanted = draw.choice([size for size in _SIZES if size != item["size"]])
    writer.user(
        draw.choice((f"{wanted} should be right.", f"One size other, so {wanted}.", f"{wanted} please"))
    )
    stock = {"article": item["article"], "warehouses": [_warehouse(draw, wanted) for _ in range(4)]}
    writer.call("check_stock", {"article": item["article"], "country": "DE"}, stock)
    writer.say(
        f"{wanted} is in stock. I would send the new one today; you send the old one back within 14 days, at "
        "no cost. Shall I go ahead?"
    )
    if draw.random() < 0.5:
        writer.user("What if the new one does not fit either?")
        writer.say("Then you can return or exchange it again, within 30 days of its delivery.")
    writer.user("Yes, go ahead.")
    asked = {"order": order, "item": str(item["number"]), "size": wanted}
    writer.call(
        "create_exchange", asked, {"exchange": reference(draw, 8), "status": "created", "label": "sent"}
    )
    writer.say(f"Done: {article} in {wanted} leaves our warehouse today, and the label is in your mailbox.")
    return first


def _head(draw: Random) -> Json:
    return {
        "order": f"LL-{draw.randint(100000, 999999)}",
        "ordered": day(draw),
        "status": draw.choice(("delivered", "delivered", "in transit", "packed")),
        "items": draw.randint(1, 5),
        "total_eur": draw.randint(20, 400),
        "ship_to": {"country": "DE", "pick_up_point": None},
    }


def _item(draw: Random, number: int, article: str) -> Json:
    return {
        "number": number,
        "article": f"A{draw.randint(10000, 99999)}",
        "name": article if number == 1 else draw.choice(_ARTICLES),
        "size": draw.choice(_SIZES),
        "colour": draw.choice(("navy", "moss", "sand", "black")),
        "price_eur": draw.randint(15, 140),
        "discount_eur": 0,
        "returnable_until": "2027-01-15",
        "status": "delivered",
    }


def _parcel(draw: Random) -> Json:
    return {
        "parcel": reference(draw, 12),
        "carrier": draw.choice(("north post", "quick van")),
        "scans": [
            {
                "at": f"{day(draw)}T{draw.randint(6, 21):02d}:12:00Z",
                "place": "sorting centre",
                "status": status,
            }
            for status in ("handed over", "in transit", "delivered")
        ],
    }


def _warehouse(draw: Random, wanted: str) -> Json:
    stock = {size: draw.randint(0, 12) for size in _SIZES} | {wanted: draw.randint(2, 12)}
    return {
        "warehouse": f"W{draw.randint(1, 9)}",
        "delivers_to": ["DE", "AT", "DK"],
        "stock": stock,
        "days": 2,
    }
