"""The whole demo, from starting the servers to what the ledger and the provider's bill say."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bursar.adapters.ledger.sqlite import LedgerReader
from bursar.demo.clients import play_scripts, require_sdks
from bursar.demo.processes import Servers
from bursar.demo.scripts import Script
from bursar.domain.money import nusd_from_usd
from bursar.domain.report import Report, ReportKey

TRANSCRIPTS = "demo-transcripts.jsonl"

# The double answers as fast as a quick model, so that what is shown is over soon.
_PACE = ("--ttft-ms", "15", "--tokens-per-s", "4000")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo has to tell.

    Attributes:
        report: What the ledger holds of it, by tenant and agent.
        billed_nusd: What the double billed.
        billed_calls: For how many calls.
        conversations: Conversations played.
        seconds: How long that took.
    """

    report: Report
    billed_nusd: int
    billed_calls: int
    conversations: int
    seconds: float


def play_demo(conversations: Sequence[Sequence[Script]], folder: Path, played: Callable[[], None]) -> Shown:
    """Start a double and a gateway, play conversations, and read ledger and bill.

    Args:
        conversations: The threads of each.
        folder: Where the ledger and the transcripts go.
        played: Told of each call that was answered.

    Raises:
        CallerMistake: An SDK is missing.
        DemoFailed: A server did not start, or an agent got an error.
    """
    require_sdks()
    transcripts = folder / TRANSCRIPTS
    folder.mkdir(parents=True, exist_ok=True)
    transcripts.write_bytes(b"".join([s.transcript() for threads in conversations for s in threads]))
    since_s = time.time()
    with Servers() as servers:
        provider = servers.start("double", "--transcripts", str(transcripts), *_PACE)
        upstreams = ("--upstream", f"anthropic={provider}", "--upstream", f"openai={provider}/v1")
        gateway = servers.start("serve", "--data-dir", str(folder), *upstreams)
        started_s = time.monotonic()
        asyncio.run(play_scripts(gateway, conversations, played))
        seconds = time.monotonic() - started_s
        bill = _bill(provider)
    keys = (ReportKey.TENANT, ReportKey.AGENT)
    return Shown(
        report=LedgerReader.open(folder).report(keys, since_s=since_s),
        billed_nusd=nusd_from_usd(bill["cost_usd"]),
        billed_calls=bill["calls"],
        conversations=len(conversations),
        seconds=seconds,
    )


def _bill(provider: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{provider}/bill", timeout=10) as response:  # noqa: S310 - our own server
        return json.load(response)
