"""From the calls that end to whoever is told that spending is not as usual.

On a call's own way, its entry is put into a queue and nothing else. Every few seconds the queue is emptied, a
little at a time so that calls do not wait for it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bursar.domain.alerts import Finding
from bursar.domain.anomalies import Anomaly
from bursar.domain.ledger import Entry
from bursar.errors import StoreFailed
from bursar.policy.alerts.findings import find_anomaly
from bursar.policy.anomalies.watch import AnomalyWatch
from bursar.policy.response_cache import CacheUse
from bursar.ports import AnomalySink, Clock, Observer

LOG = logging.getLogger("bursar.anomalies")

_EVERY_S = 5.0
# About a millisecond.
_SLICE_ENTRIES = 200
# A burst that is longer is judged by its latest calls.
_WAITING_MAX = 100_000

_FILE = "anomalies.jsonl"
_FILE_BYTES_MAX = 1 << 20
_FILE_KEPT = 500


class AnomalyFeed:
    """Feeds a watch with what an observer is told. Fills `ports.Observer`.

    Args:
        observer: Told first.
        watch: Finds what is not as usual.
        sinks: Told of what it finds.
        clock: The time.
    """

    def __init__(
        self, observer: Observer, watch: AnomalyWatch, sinks: Sequence[AnomalySink], clock: Clock
    ) -> None:
        self._observer = observer
        self._watch = watch
        self._sinks = sinks
        self._clock = clock
        self._waiting: deque[Entry] = deque(maxlen=_WAITING_MAX)

    def ended(self, entry: Entry, *, durable: bool, cache: CacheUse = CacheUse.OFF) -> None:
        """Learn that a call ended."""
        self._observer.ended(entry, durable=durable, cache=cache)
        self._waiting.append(entry)

    def forget(self, tenant: str) -> None:
        """Forget all of a tenant."""
        left = [entry for entry in self._waiting if entry.attribution.tenant != tenant]
        self._waiting.clear()
        self._waiting.extend(left)
        self._watch.forget(tenant)

    async def keep_watching(self) -> None:
        """Look at what ended, every few seconds, for ever."""
        while True:
            await self._clock.sleep(_EVERY_S)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - A statistic that breaks must not end the process.
                # Its message could hold what entries hold.
                LOG.error("anomalies could not be looked for: %s", type(error).__name__)  # noqa: TRY400 - as above

    async def look(self) -> None:
        """Look at what ended since the last time, and tell of what is found."""
        waiting, see = self._waiting, self._watch.see
        for _ in range(-(-len(waiting) // _SLICE_ENTRIES)):
            for _ in range(min(_SLICE_ENTRIES, len(waiting))):
                see(waiting.popleft())
            await asyncio.sleep(0)
        for anomaly in self._watch.judge(self._clock.now()):
            for sink in self._sinks:
                await sink.found(anomaly)


class AnomalyLog:
    """Writes findings to the log, and to a file of bounded size. Fills `ports.AnomalySink`.

    Args:
        directory: Where the file lies.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def found(self, anomaly: Anomaly) -> None:
        """Write a finding."""
        LOG.warning("%s: %s", anomaly.whose, anomaly.said)
        try:
            await asyncio.to_thread(self._append, anomaly)
        except OSError as error:
            LOG.warning("a finding could not be written to %s: %s", _FILE, error.strerror)

    def _append(self, anomaly: Anomaly) -> None:
        file = self._directory / _FILE
        if file.exists() and file.stat().st_size > _FILE_BYTES_MAX:
            kept = file.read_bytes().splitlines(keepends=True)[-_FILE_KEPT:]
            shorter = file.with_suffix(".new")
            shorter.write_bytes(b"".join(kept))
            shorter.replace(file)
        with file.open("ab") as stream:
            stream.write(msgspec.json.encode(anomaly) + b"\n")


def read_anomalies(directory: Path, most: int) -> list[Anomaly]:
    """Return the last findings, the latest first; a line that was cut off by a crash is passed over."""
    try:
        lines = (directory / _FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found: list[Anomaly] = []
    for line in reversed(lines):
        if len(found) == most:
            break
        try:
            found.append(msgspec.json.decode(line, type=Anomaly))
        except msgspec.DecodeError:
            continue
    return found


def erase_anomalies(directory: Path, tenant: str, *, is_dry_run: bool = False) -> int:
    """Take a tenant's findings out of the file, for good.

    Args:
        directory: Where it lies.
        tenant: The tenant.
        is_dry_run: Whether they are only counted.

    Returns:
        How many those were. A line that cannot be read leaves, too: nobody knows whose it is.

    Raises:
        StoreFailed: The file could not be read or written.
    """
    file = directory / _FILE
    try:
        lines = file.read_bytes().splitlines(keepends=True)
        left = [line for line in lines if _tenant_of(line) not in {tenant, None}]
        if len(left) < len(lines) and not is_dry_run:
            shorter = file.with_suffix(".erased")
            shorter.write_bytes(b"".join(left))
            shorter.replace(file)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StoreFailed(f"{file}: {error.strerror or error}; check it and its directory") from error
    return len(lines) - len(left)


def _tenant_of(line: bytes) -> str | None:
    try:
        return msgspec.json.decode(line, type=Anomaly).tenant
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class AnomalyNotices:
    """Puts findings among the alerts, where people are told of them. Fills `ports.AnomalySink`.

    Args:
        tell: Takes what is to be told, at once.
        notify: Names of the notifiers to be told.
    """

    def __init__(self, tell: Callable[[Finding], None], notify: tuple[str, ...]) -> None:
        self._tell = tell
        self._notify = notify

    async def found(self, anomaly: Anomaly) -> None:
        """Tell of a finding."""
        self._tell(find_anomaly(anomaly, self._notify))
