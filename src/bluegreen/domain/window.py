"""All that a judgement of the observation window may look at, as one value, and how it is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.reading import PartTally, Reading, Tally, grown, nobodys, tally
from bluegreen.domain.snapshot import Snapshot
from bluegreen.domain.stack import Instant, Limits, Seconds, Slot, Stack
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.domain.reading import PodCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Two readings of the old slot before the switch: what it did while users were on it."""

    begin: Reading
    end: Reading

    @property
    def seconds(self) -> Seconds:
        """How long it is."""
        return self.end.at - self.begin.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """What came of the requests that the pipeline itself made in the window. They are no user's."""

    asked: int = 0
    """Those that the new slot answered, or should have."""
    failed: int = 0
    good: tuple[tuple[str, int], ...] = ()
    """``(service, count)``: good answers, which the service has counted among its users'."""
    sent: tuple[tuple[str, int], ...] = ()
    """``(service, count)``: all of them, whatever came of them."""
    by_entry: bool = False
    """At least one was answered well at the address that users call."""
    wrong: str = ""
    """What was wrong with the last one that failed."""
    unmade: str = ""
    """Which services could not be asked the last time, and why; empty: none."""

    def good_of(self, service: str | None) -> int:
        """Good answers of one service, or of all."""
        return sum(count for name, count in self.good if service in {None, name})

    def sent_to(self, service: str) -> int:
        """All of one service."""
        return dict(self.sent).get(service, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Both ends of the time since the switch, and what they are compared with."""

    slot: Slot
    """The new slot."""
    limits: Limits
    before: Reading
    """The start: the new slot before the switch, the old one right after it (``reading.baseline``)."""
    now: Reading
    at_switch: Snapshot
    live: Snapshot
    since: Instant | None = None
    """When users were on the new slot; None: when ``before`` was read."""
    late: Reading | None = None
    """The newest look that is QUIET (``silence``) older than ``now``; None: there is none."""
    late_synthetic: Synthetic | None = None
    """What had come of the pipeline's own requests by then."""
    restarted: tuple[str, ...] = ()
    """Pods whose counters began again from nothing in the window."""
    old: Span | None = None
    """None: nothing is known of the old slot before the switch."""
    stack: Stack | None = None
    """For what its probes may have asked; None: whether it is silent is not judged."""
    synthetic: Synthetic | None = None
    """None: nobody asked for it."""
    reads: int = 0
    """How often each pod's metrics have been read since ``before``: a pod may count that as a request."""

    @property
    def seconds(self) -> Seconds:
        """How long users have been on the new slot."""
        return self.now.at - (self.before.at if self.since is None else self.since)

    def counted(self, service: str | None = None) -> Tally:
        """What the new slot's users did since the switch; the pipeline's own requests are taken out."""
        found = tally(self.before, self.now, slot=self.slot, limit_ms=self.limits.p95_overhead_ms, service=service)
        ours = self.ours(service)
        return _without(found, ours) if ours else found

    def ours(self, service: str | None) -> int:
        """Good answers to the pipeline's own requests; to a service, or to all."""
        return self.synthetic.good_of(service) if self.synthetic is not None else 0

    def nobodys(self, service: str) -> int:
        """So many of the counted requests may be no user's, and are in the count: probes, reads, our own to others."""
        ours = self.ours(None) - self.ours(service)
        if self.stack is None:
            return ours
        return ours + nobodys(
            self.before,
            self.now,
            stack=self.stack,
            slot=self.slot,
            service=service,
            seconds=self.now.at - self.before.at,
            reads=self.reads,
        )

    def ours_since_late(self, service: str) -> int:
        """Those that were made since the look ``late``."""
        return self.ours(service) - (self.late_synthetic.good_of(service) if self.late_synthetic is not None else 0)

    def old_counted(self, service: str) -> Tally:
        """What the old slot's users did in the time before the switch; nothing, where that is not known."""
        if self.old is None:
            return Tally()
        known = {counters.pod: counters for counters in self.old.begin.pods}
        both = replace(self.old.end, pods=tuple(each for each in self.old.end.pods if _went_on(known, each)))
        limit = self.limits.p95_overhead_ms
        return tally(self.old.begin, both, slot=self.slot.other, limit_ms=limit, service=service)


def _went_on(known: Mapping[str, PodCounters], now: PodCounters) -> bool:
    """Whether these are the counters that were read before: since when others have counted is not known."""
    return now.pod in known and not grown(known[now.pod], now).restarted


def span_before(looks: tuple[Reading, ...], *, end: Reading, seconds: Seconds) -> Span | None:
    """The shortest span up to ``end`` that is at least so long, else the longest that there is; None: there is none."""
    earlier = [look for look in looks if look.at < end.at and look.pods]
    if not earlier:
        return None
    whole = [look for look in earlier if end.at - look.at >= seconds]
    begin = max(whole, key=lambda look: look.at) if whole else min(earlier, key=lambda look: look.at)
    return Span(begin=begin, end=end)


def _without(counts: Tally, ours: int) -> Tally:
    """The pipeline asks with GET, is answered well and in time, and must not make a share look smaller."""
    return replace(
        counts,
        requests=max(counts.errors, counts.requests - ours),
        timed=max(counts.slow, counts.timed - ours),
        parts=tuple(
            PartTally(name=part.name, requests=max(part.errors, part.requests - ours), errors=part.errors)
            if part.name == "GET"
            else part
            for part in counts.parts
        ),
    )
