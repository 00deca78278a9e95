"""Conversations of our own making: three companies, each with a triage agent and a specialist. Seeded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

import msgspec

from bursar.demo import bank, retail, travel
from bursar.demo.scripts import Script, Writer


@dataclass(frozen=True, slots=True)
class Company:
    """One tenant of the demo.

    Attributes:
        tenant: Its name.
        agent: Its specialist.
        policy: Name of the specialist's policy.
        intent: What triage finds.
        model: The specialist's model.
        triage_model: Triage's model.
        stream: Whether the specialist streams.
        tools: The specialist's tools.
        write: Writes one conversation, and returns the first message.
    """

    tenant: str
    agent: str
    policy: str
    intent: str
    model: str
    triage_model: str
    stream: bool
    tools: Sequence[Mapping[str, Any]]
    write: Callable[[Writer, Random], str]


COMPANIES = (
    Company(
        tenant="harbour",
        agent="bookings",
        policy="travel",
        intent="change_booking",
        model="claude-sonnet-4-6",
        triage_model="claude-haiku-4-5",
        stream=False,
        tools=travel.TOOLS,
        write=travel.write,
    ),
    Company(
        tenant="meridian",
        agent="cards",
        policy="bank",
        intent="payment_dispute",
        model="claude-opus-4-8",
        triage_model="claude-haiku-4-5",
        stream=True,
        tools=bank.TOOLS,
        write=bank.write,
    ),
    Company(
        tenant="loomleaf",
        agent="orders",
        policy="retail",
        intent="exchange_item",
        model="gpt-4.1",
        triage_model="gpt-4.1-mini",
        stream=True,
        tools=retail.TOOLS,
        write=retail.write,
    ),
)


def write_cases(seed: int, conversations: int) -> list[list[Script]]:
    """Write conversations, each as its triage and then its specialist's thread.

    Args:
        seed: What they depend on.
        conversations: How many.
    """
    draw = Random(seed)  # noqa: S311 - made-up customers, not secrets
    return [
        _write_case(COMPANIES[number % len(COMPANIES)], f"{number + 1:03d}", draw)
        for number in range(conversations)
    ]


def _write_case(company: Company, number: str, draw: Random) -> list[Script]:
    name = f"{company.tenant}-{number}"
    writer = Writer(f"{policy('house')}\n{policy(company.policy)}", number)
    first = company.write(writer, draw)
    triage = Writer(policy("triage"), number)
    triage.user(first)
    found = {
        "intent": company.intent,
        "agent": company.agent,
        "language": "en",
        "urgent": draw.random() < 0.2,
    }
    triage.say(msgspec.json.encode(found).decode())
    return [
        Script(
            name=f"{name}-triage",
            tenant=company.tenant,
            agent="triage",
            task="intent_classification",
            model=company.triage_model,
            messages=triage.messages,
        ),
        Script(
            name=name,
            tenant=company.tenant,
            agent=company.agent,
            task="customer_support",
            model=company.model,
            stream=company.stream,
            tools=company.tools,
            messages=writer.messages,
        ),
    ]


@cache
def policy(name: str) -> str:
    """Return one of the demo's policies."""
    return (resources.files("bursar.demo") / "policies" / f"{name}.md").read_text("utf-8")
