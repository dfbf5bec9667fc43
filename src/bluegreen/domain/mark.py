"""Counting on from the switch in another process: readings made small enough for the journal, and back.

A counter means something only as long as it is the same counter. A pod that was started again, is gone, or could not be
read then or now is a gap: what it answered cannot be known, and that is said. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bluegreen.domain.reading import SERVER_ERROR, PodCounters, Reading, by_reason, is_another
from bluegreen.domain.release import Answered, Mark, PodMark, Standing, Tallied, Unread
from bluegreen.domain.stack import Instant, Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from bluegreen.domain.reading import Gap
    from bluegreen.domain.snapshot import Snapshot, Workload
    from bluegreen.domain.stack import Limits

BOTH = (Slot.BLUE, Slot.GREEN)

MOST_PODS = 200
"""Pods that a mark holds, some 200 bytes each: an entry of the journal must not grow without bound."""

MOST_GAPS = 20
"""Gaps that are told one by one."""

LONGEST = 300
"""Characters of a gap's reason."""


def mark_of(reading: Reading, snapshot: Snapshot, *, slot: Slot, limits: Limits, read_at: float, at: float) -> Mark:
    """The reading as the journal keeps it, the pods of ``slot``, to which users go, before the others.

    ``snapshot``: the stack as it was read. Times in seconds since 1970.
    """
    restarts = _restarts(snapshot)
    ordered = sorted(reading.pods, key=lambda each: each.slot is not slot)
    found = [_counted(each, restarts=restarts.get(each.pod, 0), limits=limits) for each in ordered]
    return Mark(
        read_at=read_at,
        at=at,
        limits=limits,
        pods=tuple(found[:MOST_PODS]),
        gaps=tuple(_unread(gap) for gap in reading.gaps[:MOST_PODS]),
        left_out=max(0, len(found) - MOST_PODS) + max(0, len(reading.gaps) - MOST_PODS),
    )


def reading_of(mark: Mark) -> Reading:
    """The answers of the mark again, at no time of this process' clock."""
    pods = (
        PodCounters(pod=each.pod, service=each.service, slot=each.slot, answers=each.answers, process=each.process)
        for each in mark.pods
    )
    return Reading(at=Instant(0.0), pods=tuple(pods))


def _unread(gap: Gap) -> Unread:
    return Unread(pod=gap.pod, slot=gap.slot, why=gap.why[:LONGEST], absent=gap.absent)


def _restarts(snapshot: Snapshot) -> dict[str, int]:
    return {pod.name: pod.restarts for work in snapshot.workloads for pod in work.pods}


def _counted(counters: PodCounters, *, restarts: int, limits: Limits) -> PodMark:
    times, limit = counters.latency, limits.p95_overhead_ms
    slow, surely = (times.above(limit), times.surely_above(limit)) if times is not None else (0, 0)
    return PodMark(
        pod=counters.pod,
        service=counters.service,
        slot=counters.slot,
        restarts=restarts,
        answers=counters.answers,
        timed=times.count if times is not None else 0,
        slow=slow,
        surely_slow=surely if surely != slow else None,
        timing=str(times.timing) if times is not None else "",
        process=counters.process,
    )


def tally_since(
    mark: Mark,
    reading: Reading,
    snapshot: Snapshot,
    *,
    now: Instant,
    wall: float,
    slots: tuple[Slot, ...] = BOTH,
    restarted: Collection[str] = (),
) -> Tallied:
    """What every service has answered in these slots since the mark. ``now`` and ``wall``: when it had been read.

    A pod that the mark does not know has begun after it, and counts from nothing, as does one that was read and had no
    such counter: many libraries write none before its first event. One that could not be read at the
    switch counts nothing, for nobody knows from where. ``restarted``: pods that began again from nothing and were
    followed over that (``course.follow``), so that their counters in the reading go on all the same.
    """
    earlier = {each.pod: each for each in mark.pods if each.slot in slots}
    unknown = {gap.pod for gap in mark.gaps if not gap.absent}
    restarts = _restarts(snapshot)
    counts = _Counts()
    for each in reading.pods:
        if each.slot in slots and each.pod not in unknown:
            counted = _counted(each, restarts=restarts.get(each.pod, 0), limits=mark.limits)
            counts.add(earlier.pop(each.pod, None), counted, followed=each.pod in restarted)
    gaps = (*_gaps(mark, reading, slots=slots, missing=earlier), *counts.gaps)
    until = wall - max(0.0, now - reading.at)
    return Tallied(since=mark.read_at, until=until, answered=counts.answered(), gaps=_bounded(gaps), latest=wall)


def _gaps(mark: Mark, reading: Reading, *, slots: tuple[Slot, ...], missing: Iterable[str]) -> Iterator[str]:
    """What cannot be counted. ``missing``: pods that the mark knows and the reading does not."""
    now = {gap.pod: gap.why for gap in reading.gaps if gap.slot in slots}
    then = ((gap.pod, f"at the switch {gap.why}") for gap in mark.gaps if gap.slot in slots and not gap.absent)
    gone = ((pod, "it was counted at the switch and is gone") for pod in missing if pod not in now)
    yield from (f"{who}: {why}" for who, why in by_reason([*then, *now.items(), *gone]))
    if mark.left_out:
        yield f"{mark.left_out} more pods were not recorded at the switch"


@dataclass(slots=True)
class _Sum:
    answers: Counter[int]
    timed: int
    slow: int
    surely: int
    first: PodMark


class _Counts:
    """Adds up differences by service and slot."""

    def __init__(self) -> None:
        self.gaps: list[str] = []
        self._sums: dict[tuple[str, Slot], _Sum] = {}

    def add(self, before: PodMark | None, now: PodMark, *, followed: bool) -> None:
        """One pod. One that was started again counts from nothing, and what it had counted until then is a gap.

        One that was ``followed`` over that has lost only what came between that and the look before it.
        """
        if before is not None and now.restarts == before.restarts and is_another(before.process, now.process):
            self.gaps.append(f"{now.pod}: at the switch another process of it was read, so nothing of it is known")
            now = before  # since when this one has counted is not known either
        lost = _fell(before, now) or (now.restarts > (before.restarts if before is not None else 0) and not followed)
        if lost:
            self.gaps.append(f"{now.pod}: it was started again, so what it answered before is not known")
            before = None
        elif followed:
            self.gaps.append(f"{now.pod}: its counters began again from nothing, so a part of its answers is not known")
        total = self._sums.setdefault((now.service, now.slot), _Sum(Counter(), 0, 0, 0, now))
        total.answers.update(dict(now.answers))
        total.timed += now.timed
        total.slow += now.slow
        total.surely += _surely(now)
        if before is not None:
            total.answers.subtract(dict(before.answers))
            total.timed -= before.timed
            total.slow -= before.slow
            total.surely -= _surely(before)

    def answered(self) -> tuple[Answered, ...]:
        """The sums, in the order in which the services were read."""
        return tuple(
            Answered(
                service=service,
                slot=slot,
                answers=tuple(sorted((status, count) for status, count in total.answers.items() if count)),
                timed=total.timed,
                slow=total.slow,
                surely_slow=total.surely if total.surely != total.slow else None,
                timing=total.first.timing,
            )
            for (service, slot), total in self._sums.items()
        )


def _surely(mark: PodMark) -> int:
    return mark.slow if mark.surely_slow is None else mark.surely_slow


def _fell(before: PodMark | None, now: PodMark) -> bool:
    """Whether any counter is smaller than it was: then the process is another one."""
    if before is None:
        return False
    counts: Mapping[int, int] = dict(now.answers)
    return now.timed < before.timed or any(counts.get(status, 0) < count for status, count in before.answers)


def errors_of(answered: Answered) -> int:
    """Answers with status 5xx."""
    return sum(count for status, count in answered.answers if status >= SERVER_ERROR)


def standing_of(workloads: Iterable[Workload]) -> tuple[Standing, ...]:
    """How each of these services stands."""
    return tuple(
        Standing(service=work.service, ready=work.ready if work.answers else 0, replicas=work.replicas)
        for work in workloads
    )


def _bounded(lines: Iterable[str]) -> tuple[str, ...]:
    """No more than MOST_GAPS; the last of them says how many are not told."""
    found = [line[:LONGEST] for line in lines]
    if len(found) <= MOST_GAPS:
        return tuple(found)
    kept = found[: MOST_GAPS - 1]
    return (*kept, f"and {len(found) - len(kept)} more like these")
