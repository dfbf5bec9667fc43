"""Counters followed from look to look through a window, so that a reset in its middle costs only what was not yet read.

Two readings at the ends would take a counter that began again for one that counted little: the errors from before would
be gone. Here every look adds what has grown since the one before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.reading import Arrivals, Histogram, Part, PodCounters, Reading, gaps_of, grown, vanished
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.reading import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The counters of a window so far."""

    total: Reading
    """They never fall here; with the gaps of the last look."""
    last: tuple[PodCounters, ...]
    """Each pod as it was read last."""
    last_arrivals: tuple[Arrivals, ...]
    restarted: tuple[str, ...] = ()
    """Pods whose counters began again from nothing, each once."""


def begin(start: Reading) -> Course:
    """The course of a window that starts with this reading."""
    return Course(total=start, last=start.pods, last_arrivals=start.arrivals)


def follow(course: Course, now: Reading) -> Course:
    """Add what a further look found. A pod without an answer keeps what it had, and is a gap."""
    last = {counters.pod: counters for counters in course.last}
    so_far = {counters.pod: counters for counters in course.total.pods}
    grew = {counters.pod: grown(last.get(counters.pod), counters) for counters in now.pods}
    gone = (gap for growth in grew.values() for gap in gaps_of(growth))
    totals = so_far | {pod: _added(so_far.get(pod), growth.counters) for pod, growth in grew.items()}
    return Course(
        total=Reading(
            at=now.at,
            pods=tuple(totals.values()),
            arrivals=_arrivals(course, now),
            gaps=(*now.gaps, *vanished(last, now.pods, now.gaps), *gone),
            lag=now.lag,
        ),
        last=tuple((last | {pod.pod: _known(last.get(pod.pod), pod) for pod in now.pods}).values()),
        last_arrivals=now.arrivals or course.last_arrivals,
        restarted=tuple(dict.fromkeys((*course.restarted, *(pod for pod, growth in grew.items() if growth.restarted)))),
    )


def _known(last: PodCounters | None, now: PodCounters) -> PodCounters:
    """The pod as it was read last; what is not there any more is remembered, in case it comes back."""
    if last is None or grown(last, now).restarted:
        return now
    parts = {part.name: part for part in last.parts} | {part.name: part for part in now.parts}
    answers = tuple((dict(last.answers) | dict(now.answers)).items())
    return replace(now, answers=answers, parts=tuple(parts.values()), latency=now.latency or last.latency)


def _added(so_far: PodCounters | None, more: PodCounters) -> PodCounters:
    if so_far is None:
        return more
    return replace(
        more,
        answers=_sum(so_far.answers, more.answers),
        parts=_parts(so_far.parts, more.parts),
        latency=_latency(so_far.latency, more.latency),
    )


def _sum(one: Answers, other: Answers) -> Answers:
    counts = dict(one)
    for status, count in other:
        counts[status] = counts.get(status, 0) + count
    return tuple(counts.items())


def _parts(one: Sequence[Part], other: Sequence[Part]) -> tuple[Part, ...]:
    found = {part.name: part.answers for part in one}
    for part in other:
        found[part.name] = _sum(found.get(part.name, ()), part.answers)
    return tuple(Part(name=name, answers=answers) for name, answers in found.items())


def _latency(one: Histogram | None, other: Histogram | None) -> Histogram | None:
    if one is None or other is None or one.edges != other.edges:
        return other or one
    buckets = ((edge, old + new) for (edge, old), (_, new) in zip(one.buckets, other.buckets, strict=True))
    return replace(other, buckets=tuple(buckets))


def _arrivals(course: Course, now: Reading) -> tuple[Arrivals, ...]:
    """The data plane's counts, which begin anew when it is started again."""
    last = {(each.service, each.slot): each.requests for each in course.last_arrivals}
    so_far = {(each.service, each.slot): each for each in course.total.arrivals}
    for each in now.arrivals:
        key = (each.service, each.slot)
        before = last.get(key, 0)
        more = each.requests - before if each.requests >= before else each.requests
        so_far[key] = replace(each, requests=(so_far[key].requests if key in so_far else 0) + more)
    return tuple(so_far.values())
