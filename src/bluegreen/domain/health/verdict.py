"""The verdict of a slot from the suspicions about its pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import ReleaseFailed
from bluegreen.domain.health import crashes, graces, images, places, probes, starting, workloads
from bluegreen.domain.health.suspicion import Suspect
from bluegreen.domain.snapshot import Waiting
from bluegreen.domain.stack import Instant, after
from bluegreen.domain.values import dataclass
from bluegreen.domain.words import DELAY_WORDS, GATE_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.health.suspicion import Suspicion
    from bluegreen.domain.snapshot import Pod, Snapshot, Workload
    from bluegreen.domain.stack import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Until when a slot may take to become ready: ``name`` as in "not ready within NAME", and what gives it longer."""

    name: str
    at: Instant
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """All pods of the slot are ready, and the data plane knows them."""


@dataclass(frozen=True, slots=True)
class Progressing:
    """Not there yet; ``wants`` says what is missing, a line a workload."""

    wants: tuple[str, ...]
    again: Instant | None = None
    """When it has to be judged again though nothing changes: a grace ends then. None: only a change says more."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """Waiting longer cannot help."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A limit ran out before anything was certain: which one, and what was still missing."""

    limit: Limit
    wants: tuple[str, ...]


class SlotDoomed(ReleaseFailed):
    """A release ended because its slot is doomed; ``cause`` says why, for the record."""

    def __init__(self, cause: Cause, *, mend: str = "") -> None:
        """``mend``: what to do; the cause's own advice when it is empty."""
        super().__init__(str(cause), mend=mend or cause.advice)
        self.cause = cause


Verdict = Ready | Progressing | Doomed | TimedOut

CONTAINER_RULES = (
    images.pull,
    starting.configuration,
    starting.creation,
    starting.program,
    probes.startup,
    crashes.crash,
    probes.readiness,
)
"""The first that counts is the cause."""

POD_RULES = (places.place, places.trouble)
WORKLOAD_RULES = (workloads.problem, workloads.losses)


def judge(snapshot: Snapshot, slot: Slot, *, revision: str, limit: Limit | None = None) -> Verdict:
    """Judge the slot by the pods of ``revision`` only: yesterday's crash loop must not doom today's release.

    Ready beats doomed where both hold of a workload, and doomed beats timed out.
    """
    works, at = snapshot.slot_workloads(slot), snapshot.at
    wants = [] if works else [f"{slot}: nothing is known of it"]
    again: list[Instant] = []
    for workload in works:
        missing = _missing(workload, revision) or _unsteady(workload, at, again)
        if missing and workload.revision == revision:
            found = _doom(workload, works, at, again, limit)
            if found is not None:
                return Doomed(found)
        wants.extend(missing)
    if not wants:
        return Ready()
    over = _over(works, at, again, limit)
    return TimedOut(over, tuple(wants)) if over is not None else Progressing(tuple(wants), min(again, default=None))


def _missing(workload: Workload, revision: str) -> list[str]:
    name, wanted = workload.service, workload.replicas
    if workload.revision != revision:
        return [f"{name}: to be staged"]
    if workload.ready < wanted or not workload.settled:
        return [f"{name} {workload.ready}/{wanted} ready{_why(workload)}"]
    if workload.reachable is not None and workload.reachable < wanted:
        return [f"{name} {workload.reachable}/{wanted} known to the data plane"]
    return []


def _unsteady(workload: Workload, at: Instant, again: list[Instant]) -> list[str]:
    """Pods that were started again must stay ready for a while. ``again`` takes when the last of them has."""
    ends = [after(pod.since, graces.STEADY) for pod in workload.current if pod.restarts and pod.since is not None]
    last = max(ends, default=at)
    if last <= at:
        return []
    again.append(last)
    return [f"{workload.service}: a pod was started again, and has to stay ready for {graces.STEADY:g} s"]


def _why(workload: Workload) -> str:
    """What stops its pods from being made, else what the first of them waits for."""
    said = (workload.problem, *(_state_of(pod) for pod in workload.current))
    return next((f" ({reason})" for reason in said if reason), "")


def _state_of(pod: Pod) -> str:
    if pod.unplaced:
        return pod.promised or pod.unplaced
    if pod.trouble is not None:
        return pod.trouble.message if pod.trouble.reason in GATE_WORDS | DELAY_WORDS else pod.trouble.reason
    for container in pod.containers:
        if isinstance(container.state, Waiting):
            return container.state.reason
        if container.failing and not pod.ready:
            return container.failing
    return ""


# --- doom ---------------------------------------------------------------------------------------------------------


def _doom(
    workload: Workload, works: Sequence[Workload], at: Instant, again: list[Instant], limit: Limit | None
) -> Cause | None:
    """The workload's cause, if it is certain now. ``again`` takes when one may become so."""
    found = _first((rule(workload) for rule in WORKLOAD_RULES), at, again)
    if found is not None:
        return found
    free, end = _free(workload, works), limit.at if limit is not None else None
    causes = [_first(_suspicions(pod, free, end), at, again) for pod in workload.current]
    if not causes or not all(causes) or len(causes) < workload.replicas:
        return None
    return causes[0]


def _first(suspicions: Iterable[Suspicion | None], at: Instant, again: list[Instant]) -> Cause | None:
    for suspicion in suspicions:
        if suspicion is None:
            continue
        if suspicion.counts(at):
            return suspicion.cause
        if suspicion.due is not None:
            again.append(suspicion.due)
    return None


def _suspicions(pod: Pod, free: Instant | None, limit: Instant | None) -> Iterator[Suspicion | None]:
    if pod.ready:
        return
    yield from (rule(pod) for rule in POD_RULES)
    for container in pod.containers:
        suspect = Suspect(pod=pod, container=container, free=free, limit=limit)
        yield from (rule(suspect) for rule in CONTAINER_RULES)


def _free(workload: Workload, works: Sequence[Workload]) -> Instant | None:
    """Since when all that it needs has been ready; None: it is not. A need that is not known is no excuse."""
    needed = [work for work in works if work.service in workload.needs]
    if any(work.ready < work.replicas for work in needed):
        return None
    since = [pod.since for work in needed for pod in work.current if pod.since is not None]
    return max(since, default=Instant(float("-inf")))


# --- limits -------------------------------------------------------------------------------------------------------


def _over(works: Sequence[Workload], at: Instant, again: list[Instant], limit: Limit | None) -> Limit | None:
    """The limit that has run out. ``again`` takes when a workload's own one does."""
    own = [found for work in works if (found := _own_limit(work)) is not None]
    again.extend(each.at for each in own)
    return next((each for each in (*own, limit) if each is not None and each.at <= at), None)


def _own_limit(workload: Workload) -> Limit | None:
    """The platform's own, by its own word. That may be about what ran before, so it counts from our first look."""
    if workload.overdue is None or workload.since is None:
        return None
    name = f"the {workload.overdue:g} s that {workload.service} allows itself"
    return Limit(name=name, at=after(workload.since, workload.overdue), mend="raise its progressDeadlineSeconds")
