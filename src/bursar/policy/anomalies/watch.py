"""All subjects, and what somebody is told: one finding for one event."""

from bursar.domain.anomalies import Anomaly, AnomalyKind
from bursar.domain.bounded import BoundedDict
from bursar.domain.ledger import Entry
from bursar.policy.anomalies.options import AnomalyOptions
from bursar.policy.anomalies.subject import Key, Subject

SUBJECTS_MAX = 2_000
"""Subjects that are known. One takes some 10 KB, and 0.3 KB for each conversation that was active lately."""

# Further signs of the same subject within this time belong to the same event.
_EVENT_S = 600.0
# The same is told again of a subject an hour later at the earliest.
_AGAIN_S = 3_600.0
_LEARN_EVERY_S = 60.0

_RANKS = {kind: rank for rank, kind in enumerate(AnomalyKind)}


class AnomalyWatch:
    """Learns what is usual from the ledger's entries, and finds what is not. Not thread-safe.

    Args:
        options: What is set.
    """

    def __init__(self, options: AnomalyOptions | None = None) -> None:
        self._options = options or AnomalyOptions()
        self._factor = self._options.factor
        self._subjects: BoundedDict[Key, Subject] = BoundedDict(SUBJECTS_MAX)
        self._told: BoundedDict[Key, float] = BoundedDict(SUBJECTS_MAX)
        self._told_of: BoundedDict[tuple[Key, AnomalyKind], float] = BoundedDict(4 * SUBJECTS_MAX)
        self._learned_s = 0.0

    def see(self, entry: Entry) -> None:
        """Take an entry, in the order in which they were recorded."""
        if not entry.attempts:
            # It was refused, or answered by what was kept: it cost nothing.
            return
        who = entry.attribution
        key = (who.tenant, who.agent, who.task)
        subject = self._subjects.get(key)
        if subject is None:
            subject = Subject(key)
            self._subjects.keep(key, subject)
        subject.see(entry, self._factor)

    def forget(self, tenant: str) -> None:
        """Forget all of a tenant: what is usual of it is learned anew."""
        self._subjects.drop(lambda key: key[0] == tenant)
        self._told.drop(lambda key: key[0] == tenant)
        self._told_of.drop(lambda told: told[0][0] == tenant)

    def judge(self, now_s: float) -> list[Anomaly]:
        """Return what somebody is to be told: to be asked for every few seconds."""
        if now_s - self._learned_s >= _LEARN_EVERY_S:
            self._learned_s = now_s
            for subject in self._subjects.values():
                subject.learn(now_s, self._factor)
        told: list[Anomaly] = []
        for key, subject in self._subjects.items():
            found = subject.judge(now_s, self._factor)
            if not found:
                continue
            if subject.nusd_per_hour < self._options.usd_per_hour_min_nusd:
                subject.take_back(found)
            else:
                found.sort(key=lambda anomaly: _RANKS[anomaly.kind])
                told += [anomaly for anomaly in found[:1] if self._is_news(key, anomaly, now_s)]
        return told

    def _is_news(self, key: Key, anomaly: Anomaly, now_s: float) -> bool:
        last_s, last_of_s = self._told.get(key), self._told_of.get((key, anomaly.kind))
        if last_s is not None and now_s - last_s < _EVENT_S:
            return False
        if last_of_s is not None and now_s - last_of_s < _AGAIN_S:
            return False
        self._told.keep(key, now_s)
        self._told_of.keep((key, anomaly.kind), now_s)
        return True
