"""Counters of both slots at one instant, and what happened between two of them.

Raw counters by pod identity, never rates: in a window of 30 s a rate over scrapes sees nothing (measured with
Prometheus' own engine). A counter that fell was reset and counts from nothing; a pod or a series that vanished, or that
could not be read, is a gap, and a gap is said, never filled.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Instant, Probe, Slot, after
from bluegreen.domain.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bluegreen.domain.stack import Seconds, Stack

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

    @property
    def edges(self) -> tuple[float, ...]:
        """The upper edges."""
        return tuple(edge for edge, _ in self.buckets)

    def above(self, limit_ms: float) -> int:
        """Observations that may be over the limit: all of a bucket in which it lies."""
        below = max((count for edge, count in self.buckets if edge <= limit_ms), default=0)
        return self.count - below

    def surely_above(self, limit_ms: float) -> int:
        """Observations that are over the limit: none of a bucket in which it lies."""
        upto = min((count for edge, count in self.buckets if edge >= limit_ms), default=self.count)
        return self.count - upto


Answers = tuple[tuple[int, int], ...]
"""``(status, count)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a service's requests: those whose label ``method`` has one value."""

    name: str
    answers: Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCounters:
    """What one pod has counted since it started."""

    pod: str
    service: str
    slot: Slot
    answers: Answers
    """Probes not among them."""
    parts: tuple[Part, ...] = ()
    """The same answers by the method of their requests; empty: the metric does not tell."""
    latency: Histogram | None = None
    in_flight: int | None = None
    at: Instant | None = None
    """When it was counted, where that is not when it was asked for: the time of the scrape. None: the reading's own."""
    process: Seconds | None = None
    """When the process that has counted began, seconds since 1970: what it is known by. None: its page does not say."""


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
    absent: bool = False
    """It was read, and has no such counter: whatever it counts later, it counts from nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All counters at one instant.

    A source that scrapes by itself trails: its counters are those of its last scrape, and ``at`` says so. What is to be
    in a reading for certain is waited for, at most for ``lag``.
    """

    at: Instant
    """What was answered until then is counted in every pod that could be read."""
    pods: tuple[PodCounters, ...] = ()
    arrivals: tuple[Arrivals, ...] = ()
    gaps: tuple[Gap, ...] = ()
    lag: Seconds = 0.0
    """How long it can take until what was answered now is in a reading; 0: it is in the next one."""

    def is_due(self, end: Instant, *, now: Instant) -> bool:
        """Whether waiting for a reading that counts all until ``end`` is over: this is it, or none will come."""
        return self.at >= end or now >= after(end, self.lag)


def until_end(reading: Reading, end: Instant) -> Reading:
    """The reading with a gap for each pod that was counted before ``end``: what came after that is not known.

    What it has counted stays: errors prove a release bad also when they are not all of them.
    """
    told = {gap.pod for gap in reading.gaps}
    late = tuple(
        Gap(pod=found.pod, slot=found.slot, why=f"it was last counted {end - found.at:.1f} s before the window's end")
        for found in reading.pods
        if found.at is not None and found.at < end and found.pod not in told
    )
    return replace(reading, gaps=(*reading.gaps, *late)) if late else reading


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTally:
    """What one part of the requests came to."""

    name: str
    requests: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one slot did between two readings: one service of it, or all together."""

    requests: int = 0
    errors: int = 0
    """Answers with status 5xx."""
    timed: int = 0
    """Requests whose time was measured."""
    slow: int = 0
    """Of those, the ones that may be over the limit."""
    surely_slow: int = 0
    """Of those, the ones that are: fewer, where no bucket ends at the limit."""
    timing: Timing | None = None
    parts: tuple[PartTally, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What one pod counted between two readings of it."""

    counters: PodCounters
    """The differences."""
    restarted: bool = False
    """Its counters began again from nothing; what was counted since the earlier reading and before that is lost."""
    gone: tuple[str, ...] = ()
    """Series that were there, had counted something, and are not there any more."""


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
    grew = [grown(earlier.get(counters.pod), counters) for counters in pods]
    timings = [growth.counters.latency for growth in grew if growth.counters.latency is not None]
    return Tally(
        requests=sum(total(growth.counters.answers) for growth in grew),
        errors=sum(total(growth.counters.answers, at_least=SERVER_ERROR) for growth in grew),
        timed=sum(latency.count for latency in timings),
        slow=sum(latency.above(limit_ms) for latency in timings),
        surely_slow=sum(latency.surely_above(limit_ms) for latency in timings),
        timing=next((latency.timing for latency in timings), None),
        parts=_part_tallies(growth.counters for growth in grew),
        gaps=(
            *(gap for gap in now.gaps if gap.slot is slot),
            *vanished(earlier, pods, now.gaps),
            *(gap for growth in grew for gap in gaps_of(growth)),
        ),
    )


def _is_of(counters: PodCounters, slot: Slot, service: str | None) -> bool:
    return counters.slot is slot and service in {None, counters.service}


def total(answers: Answers, *, at_least: int = 0) -> int:
    """All answers with this status or a greater one."""
    return sum(count for status, count in answers if status >= at_least)


def _part_tallies(pods: Iterable[PodCounters]) -> tuple[PartTally, ...]:
    """The parts of all pods, by name; those without a request are none."""
    found: dict[str, list[Answers]] = {}
    for part in (part for counters in pods for part in counters.parts):
        found.setdefault(part.name, []).append(part.answers)
    tallies = (
        PartTally(
            name=name,
            requests=sum(map(total, answers)),
            errors=sum(total(each, at_least=SERVER_ERROR) for each in answers),
        )
        for name, answers in sorted(found.items())
    )
    return tuple(part for part in tallies if part.requests)


def grown(old: PodCounters | None, new: PodCounters) -> Growth:
    """What a pod counted since ``old``; None: it counts from nothing.

    One counter that fell is enough: the process is another one, and all its counters began at nothing. A counter that
    is not there any more while others go on is no reset; nobody knows what it would say.
    """
    if old is None:
        return Growth(counters=new)
    restarted = is_another(old.process, new.process) or _began_again(old, new)
    before = () if restarted else old.answers
    parts = () if restarted else old.parts
    earlier = {part.name: part.answers for part in parts}
    return Growth(
        counters=replace(
            new,
            answers=_difference(before, new.answers),
            parts=tuple(
                Part(name=part.name, answers=_difference(earlier.get(part.name, ()), part.answers))
                for part in new.parts
            ),
            latency=_latency_growth(None if restarted else old.latency, new.latency),
        ),
        restarted=restarted,
        gone=tuple(f"its count of answers {status}" for status in _missing(before, new.answers)),
    )


def is_another(one: Seconds | None, other: Seconds | None) -> bool:
    """Whether these are two processes. Some work out when they began anew each time, and are a second off then."""
    if one is None or other is None:
        return False
    return round(abs(one - other), 2) not in {0.0, 1.0}


def _began_again(old: PodCounters, new: PodCounters) -> bool:
    """A counter fell, or none of those that had counted is there beside others: with labels, a reset looks so, too."""
    before, now = dict(old.answers), dict(new.answers)
    counted = {status for status, count in before.items() if count}
    parts = {part.name: dict(part.answers) for part in new.parts}
    return (
        _fell(before, now)
        or any(_fell(dict(part.answers), parts.get(part.name, {})) for part in old.parts)
        or (old.latency is not None and new.latency is not None and new.latency.count < old.latency.count)
        or (bool(counted) and bool(now) and counted.isdisjoint(now))
    )


def _fell(before: dict[int, int], now: dict[int, int]) -> bool:
    return any(now.get(status, count) < count for status, count in before.items())


def _missing(before: Answers, now: Answers) -> tuple[int, ...]:
    there = {status for status, _ in now}
    return tuple(status for status, count in before if count and status not in there)


def _difference(before: Answers, now: Answers) -> Answers:
    earlier = dict(before)
    return tuple((status, max(0, count - earlier.get(status, 0))) for status, count in now)


def _delta(before: int, now: int) -> int:
    if now < before:
        return now  # the counter started again from nothing
    return now - before


def _latency_growth(old: Histogram | None, new: Histogram | None) -> Histogram | None:
    if old is None or new is None or old.edges != new.edges:
        return new
    buckets = ((edge, now - then) for (edge, now), (_, then) in zip(new.buckets, old.buckets, strict=True))
    return replace(new, buckets=tuple(buckets))


def vanished(earlier: dict[str, PodCounters], pods: Sequence[PodCounters], gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """The pods that were counted earlier, and are neither counted nor a gap now."""
    known = {counters.pod for counters in pods} | {gap.pod for gap in gaps}
    return tuple(
        Gap(pod=name, slot=counters.slot, why="counted before, and gone now")
        for name, counters in earlier.items()
        if name not in known
    )


def gaps_of(growth: Growth) -> tuple[Gap, ...]:
    """The series of a living pod that are not there any more."""
    pod = growth.counters
    return tuple(Gap(pod=pod.pod, slot=pod.slot, why=f"{what} was there before and is gone") for what in growth.gone)


def by_reason(gaps: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pods with the same reason as one, ``(who, why)`` each: where a server is down, all of them have the same."""
    pods: dict[str, list[str]] = {}
    for pod, why in gaps:
        pods.setdefault(why, []).append(pod)
    for why, (first, *others) in pods.items():
        who = f"{first} and {others[0] if len(others) == 1 else f'{len(others)} more pods'}" if others else first
        yield who, why


def arrived(before: Reading, now: Reading, *, slot: Slot) -> int | None:
    """Requests that the data plane sent to the slot between the readings; None: they are not known.

    Its counters go on through many releases: one that the first reading does not hold says nothing of the time between.
    """
    earlier = {item.service: item.requests for item in before.arrivals if item.slot is slot}
    known = [item for item in now.arrivals if item.slot is slot and item.service in earlier]
    if not known:
        return None
    return sum(_delta(earlier[item.service], item.requests) for item in known)


def risen(
    before: Reading, now: Reading, *, stack: Stack, slot: Slot, service: str | None = None, reads: int = 0
) -> int:
    """Requests that the slot's own pods have counted since ``before``, beyond what their probes can account for.

    Whether an app counts its probes is its own affair, so each pod is allowed all that its probes can have asked, and
    the ``reads`` of its metrics since. One that was ready with a count of nothing does not count probes: a pod is ready
    because a probe was answered. One whose counters began again says nothing: since when it has counted is not known.
    """
    return sum(
        max(0, _growth(old, new) - _probed(stack, old, _elapsed(old, before, new, now), reads=reads))
        for old, new in _pairs(before, now, slot=slot, service=service)
        if not grown(old, new).restarted
    )


def counted_since(before: Reading, now: Reading, *, slot: Slot, service: str) -> int:
    """All requests that the service's own pods have counted since ``before``, whoever made them."""
    return sum(_growth(old, new) for old, new in _pairs(before, now, slot=slot, service=service))


def _pairs(
    before: Reading, now: Reading, *, slot: Slot, service: str | None
) -> Iterator[tuple[PodCounters, PodCounters]]:
    """The pods of which both readings know something: one that had no such counter had counted nothing."""
    earlier = {counters.pod: counters for counters in before.pods if _is_of(counters, slot, service)}
    nothing = {gap.pod for gap in before.gaps if gap.absent}
    for counters in now.pods:
        if counters.pod in earlier:
            yield earlier[counters.pod], counters
        elif counters.pod in nothing and _is_of(counters, slot, service):
            yield PodCounters(pod=counters.pod, service=counters.service, slot=counters.slot, answers=()), counters


def _growth(old: PodCounters, new: PodCounters) -> int:
    return total(grown(old, new).counters.answers)


def _elapsed(earlier: PodCounters, before: Reading, later: PodCounters, now: Reading) -> Seconds:
    """From one count of a pod to the other."""
    start = earlier.at if earlier.at is not None else before.at
    end = later.at if later.at is not None else now.at
    return end - start


def _probed(stack: Stack, counters: PodCounters, elapsed: Seconds, *, reads: int) -> int:
    """How many requests of the pod's probes, and of our own reads, it can have counted in that time."""
    if not any(count for _, count in counters.answers):
        return reads
    probes = stack.service(counters.service).probes
    if probes is None:
        return _MORE_THAN_ANY
    return reads + sum(1 + int(elapsed / probe.period) for probe in (probes.startup, probes.readiness, probes.liveness))


def nobodys(
    before: Reading, now: Reading, *, stack: Stack, slot: Slot, service: str, seconds: Seconds, reads: int
) -> int:
    """How many of the requests that a service counted in so many seconds may be of probes, and reads of its metrics.

    They are answered well, whoever comes. What an app counts of them its idle pods show, in the other slot: no more
    than that is taken for them, and no more than there can have been.
    """
    idle = [_growth(old, new) for old, new in _pairs(before, now, slot=slot.other, service=service)]
    most = max(idle) and max(idle) + _PHASE if idle else _MORE_THAN_ANY
    earlier = {counters.pod: counters for counters in before.pods}
    mine = [counters for counters in now.pods if _is_of(counters, slot, service)]
    grew = (total(grown(earlier.get(counters.pod), counters).counters.answers) for counters in mine)
    probes = stack.service(service).probes
    lasting = (probes.readiness, probes.liveness) if probes is not None else _USUAL
    asked = reads + sum(1 + int(max(0.0, seconds) / probe.period) for probe in lasting)
    return sum(min(each, most, asked) for each in grew)


_PHASE = 3
"""Probes of one pod may each fall into a time once more often than those of another, and so may a read."""

_USUAL = (Probe(path="/"), Probe(path="/"))
"""Where the app file does not say how a pod is probed."""

_MORE_THAN_ANY = 2**62
"""Requests: where the app file does not say what probes ask, no count is a witness."""


def baseline(before: Reading, routed: Reading, *, slot: Slot) -> Reading:
    """The start of the window: the new slot as it was before the switch, the old slot once the switch was confirmed.

    So no answer of the new slot is left out, and no request that was under way to the old one counts as fallen back.
    """
    return Reading(
        at=before.at,
        pods=(
            *(counters for counters in before.pods if counters.slot is slot),
            *(counters for counters in routed.pods if counters.slot is not slot),
        ),
        arrivals=(
            *(item for item in before.arrivals if item.slot is slot),
            *(item for item in routed.arrivals if item.slot is not slot),
        ),
        gaps=tuple(gap for gap in before.gaps if gap.slot is slot),
        lag=before.lag,
    )
