"""Counters of both slots at one instant, and what happened between two of them.

Raw counters by pod identity, never rates: in a window of 30 s a rate over scrapes sees nothing (measured with
Prometheus' own engine). A counter that fell was reset; a pod that vanished or could not be read is a gap, and a gap is
said, never filled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Instant, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SERVER_ERROR = 500


class Timing(StrEnum):
    """What a service's histogram measures."""

    OVERHEAD = "overhead"
    """What the service itself adds."""
    TOTAL = "total, not overhead"
    """Upstream time included: the metrics cannot separate them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Cumulative buckets: ``(upper edge in ms, count)`` in rising order, the last edge infinite."""

    timing: Timing
    buckets: tuple[tuple[float, int], ...]

    @property
    def count(self) -> int:
        """All observations."""
        return self.buckets[-1][1] if self.buckets else 0

    def above(self, limit_ms: float) -> int:
        """Observations over the limit. Between two edges the lower one counts: an overestimate is said, not hidden."""
        below = max((count for edge, count in self.buckets if edge <= limit_ms), default=0)
        return self.count - below


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCounters:
    """What one pod has counted since it started."""

    pod: str
    service: str
    slot: Slot
    answers: tuple[tuple[int, int], ...]
    """``(status, count)``, probes not among them."""
    latency: Histogram | None = None
    in_flight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Requests of users that the data plane itself has sent to a slot: the witness that is not the app's."""

    service: str
    slot: Slot
    requests: int
    in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A pod whose counters could not be read."""

    pod: str
    slot: Slot
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All counters at one instant."""

    at: Instant
    pods: tuple[PodCounters, ...] = ()
    arrivals: tuple[Arrivals, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one slot did between two readings: one service of it, or all together."""

    requests: int = 0
    errors: int = 0
    """Answers with status 5xx."""
    timed: int = 0
    """Requests whose time was measured."""
    slow: int = 0
    """Of those, the ones over the limit."""
    timing: Timing | None = None
    gaps: tuple[Gap, ...] = field(default=())


def metered(*readings: Reading, slot: Slot) -> tuple[str, ...]:
    """The services of the slot that any of the readings holds counters of, in their order there."""
    found = (counters.service for reading in readings for counters in reading.pods if counters.slot is slot)
    return tuple(dict.fromkeys(found))


def tally(before: Reading, now: Reading, *, slot: Slot, limit_ms: float, service: str | None = None) -> Tally:
    """Add up the slot's deltas, of one service or of all.

    A pod unknown before, or with a smaller count, counts from nothing. Gaps of the slot are told whatever the service,
    for a page that could not be read does not say whose it was.
    """
    earlier = {counters.pod: counters for counters in before.pods if _is_of(counters, slot, service)}
    pods = [counters for counters in now.pods if _is_of(counters, slot, service)]
    pairs = [(earlier.get(counters.pod), counters) for counters in pods]
    timed = [_timed(old, new, limit_ms) for old, new in pairs if new.latency is not None]
    return Tally(
        requests=sum(_answers(old, new, at_least=0) for old, new in pairs),
        errors=sum(_answers(old, new, at_least=SERVER_ERROR) for old, new in pairs),
        timed=sum(count for count, _ in timed),
        slow=sum(slow for _, slow in timed),
        timing=next((new.latency.timing for _, new in pairs if new.latency is not None), None),
        gaps=(*(gap for gap in now.gaps if gap.slot is slot), *_vanished(earlier, pods, now.gaps)),
    )


def _is_of(counters: PodCounters, slot: Slot, service: str | None) -> bool:
    return counters.slot is slot and service in {None, counters.service}


def _answers(old: PodCounters | None, new: PodCounters, *, at_least: int) -> int:
    before, now = dict(old.answers) if old is not None else {}, dict(new.answers)
    if any(now.get(status, 0) < count for status, count in before.items()):
        before = {}  # one counter fell, so the process is another one: all of them started from nothing
    return sum(count - before.get(status, 0) for status, count in now.items() if status >= at_least)


def _delta(before: int, now: int) -> int:
    if now < before:
        return now  # the counter started again from nothing
    return now - before


def _timed(old: PodCounters | None, new: PodCounters, limit_ms: float) -> tuple[int, int]:
    after = new.latency
    before = old.latency if old is not None else None
    if after is None:
        return 0, 0
    if before is None or after.count < before.count:
        return after.count, after.above(limit_ms)
    return after.count - before.count, after.above(limit_ms) - before.above(limit_ms)


def _vanished(earlier: dict[str, PodCounters], pods: Sequence[PodCounters], gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    known = {counters.pod for counters in pods} | {gap.pod for gap in gaps}
    return tuple(
        Gap(pod=name, slot=counters.slot, why="it was counted before and is gone")
        for name, counters in earlier.items()
        if name not in known
    )


def arrived(before: Reading, now: Reading, *, slot: Slot) -> int | None:
    """Requests that the data plane sent to the slot between the readings; None when it does not count them."""
    earlier = {item.service: item.requests for item in before.arrivals if item.slot is slot}
    later = [item for item in now.arrivals if item.slot is slot]
    if not later:
        return None
    return sum(_delta(earlier.get(item.service, 0), item.requests) for item in later)


def baseline(before: Reading, routed: Reading, *, slot: Slot) -> Reading:
    """The start of the window: the new slot as it was before the switch, the old slot once the switch was confirmed.

    So no answer of the new slot is left out, and no request that was under way to the old one counts as fallen back.
    """
    return Reading(
        at=before.at,
        pods=tuple(counters for counters in before.pods if counters.slot is slot),
        arrivals=(
            *(item for item in before.arrivals if item.slot is slot),
            *(item for item in routed.arrivals if item.slot is not slot),
        ),
        gaps=tuple(gap for gap in before.gaps if gap.slot is slot),
    )
