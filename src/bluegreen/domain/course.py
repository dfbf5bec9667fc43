"""Counters followed from look to look through a window, so that a reset in its middle costs only what was not yet read.

Two readings at the ends would take a counter that began again for one that counted little: the errors from before would
be gone. Here every look adds what has grown since the one before it.

Several processes behind one address, each with counters of its own, answer in turn. One after the other they look like
resets, and what was counted from nothing each time would count again and again. Where a page says which process it is
of, each one is followed by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.reading import (
    Arrivals,
    Gap,
    Growth,
    Histogram,
    Part,
    PodCounters,
    Reading,
    gaps_of,
    grown,
    is_another,
    vanished,
)
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    others: tuple[PodCounters, ...] = ()
    """The same pods as other processes of them have counted that were read before the one in ``last``."""
    several: frozenset[str] = frozenset()
    """Pods of which a process was read again after another one, or a third one: not all that they count is read."""
    unread: tuple[Gap, ...] = ()
    """Pods that could not be read at the start."""


def begin(start: Reading) -> Course:
    """The course of a window that starts with this reading."""
    read = {counters.pod for counters in start.pods}
    unread = tuple(gap for gap in start.gaps if gap.pod not in read and not gap.absent)
    return Course(total=start, last=start.pods, last_arrivals=start.arrivals, unread=unread)


def follow(course: Course, now: Reading) -> Course:
    """Add what a further look found. A pod without an answer keeps what it had, and is a gap."""
    last = {counters.pod: counters for counters in course.last}
    so_far = {counters.pod: counters for counters in course.total.pods}
    steps = {counters.pod: _step(course, last.get(counters.pod), counters) for counters in now.pods}
    several = course.several | {pod for pod, step in steps.items() if step.is_of_several}
    gone = (gap for step in steps.values() for gap in gaps_of(step.growth))
    totals = so_far | {pod: _added(so_far.get(pod), step.growth.counters) for pod, step in steps.items()}
    again = (pod for pod, step in steps.items() if step.growth.restarted and pod not in several)
    return Course(
        total=Reading(
            at=now.at,
            pods=tuple(totals.values()),
            arrivals=_arrivals(course, now),
            gaps=(*now.gaps, *vanished(last, now.pods, now.gaps), *gone, *_half_known(course, several, now)),
            lag=now.lag,
        ),
        last=tuple((last | {pod: step.known for pod, step in steps.items()}).values()),
        last_arrivals=now.arrivals or course.last_arrivals,
        restarted=tuple(dict.fromkeys((*course.restarted, *again))),
        others=_others(course, last, now),
        several=several,
        unread=course.unread,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What one pod has done since it was read last."""

    growth: Growth
    known: PodCounters
    """The pod as it is compared with next time."""
    is_of_several: bool = False
    """The process that was read is one of before, and another one was read since; or it is at least the third."""


def _step(course: Course, last: PodCounters | None, now: PodCounters) -> _Step:
    if last is None and any(gap.pod == now.pod for gap in course.unread):
        last = now  # how much of it had been counted before users came is not known
    if last is None or not is_another(last.process, now.process):
        return _Step(growth=grown(last, now), known=_known(last, now))
    former = [each for each in course.others if each.pod == now.pod]
    own = next((each for each in former if not is_another(each.process, now.process)), None)
    growth = grown(own or now, now)  # of one that is new here nobody knows since when it has counted
    return _Step(growth=replace(growth, restarted=own is None), known=_known(own, now), is_of_several=bool(former))


def _others(course: Course, last: dict[str, PodCounters], now: Reading) -> tuple[PodCounters, ...]:
    """Each process is in one place: those that were read now in ``last``, the ones before them here."""
    current = {each.pod: each for each in now.pods}

    def is_read(each: PodCounters) -> bool:
        return each.pod in current and not is_another(each.process, current[each.pod].process)

    left = (last[pod] for pod in current if pod in last)
    return tuple(each for each in (*course.others, *left) if not is_read(each))


def _half_known(course: Course, several: frozenset[str], now: Reading) -> Iterator[Gap]:
    """The pods that were read, of which a part is not known for the whole window."""
    read = {counters.pod: counters for counters in now.pods}
    yield from (replace(gap, why=f"at the switch {gap.why}") for gap in course.unread if gap.pod in read)
    why = "it has several processes with counters of their own, of which each look reads one: not all is counted"
    yield from (Gap(pod=pod, slot=read[pod].slot, why=why) for pod in read if pod in several)


def _known(last: PodCounters | None, now: PodCounters) -> PodCounters:
    """The pod as it was read last; what is not there any more is remembered, in case it comes back."""
    if last is None or grown(last, now).restarted:
        return now
    parts = {part.name: part for part in last.parts} | {part.name: part for part in now.parts}
    answers = tuple((dict(last.answers) | dict(now.answers)).items())
    return replace(now, answers=answers, parts=tuple(parts.values()), latency=now.latency or last.latency)


def _added(so_far: PodCounters | None, more: PodCounters) -> PodCounters:
    """The sum, which is of no one process."""
    more = replace(more, process=None)
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
