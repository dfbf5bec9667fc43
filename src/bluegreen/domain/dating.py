"""Since when things are as they are: each state of a snapshot dated by the one before it.

By our own observation, never by the platform's timestamps: two machines' clocks differ, and a wrong one must doom
nothing. So a state is never older here than it is in truth, and every grace is kept in full: what could not be seen for
a while begins anew (``anew``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Waiting
from bluegreen.domain.values import replace
from bluegreen.domain.words import PULL_WORDS, SETUP_WORDS, UNASKED, UNBOUND

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Container, Pod, Snapshot, Trouble, Workload
    from bluegreen.domain.stack import Instant


def dated(now: Snapshot, *, before: Snapshot | None) -> Snapshot:
    """The snapshot with the dates of ``before`` for all that is still the same, and its own for what is new."""
    if before is None:
        return replace(now, workloads=tuple(_workload(work, None, at=now.at) for work in now.workloads))
    known = {(work.service, work.slot): work for work in before.workloads}
    works = tuple(_workload(work, known.get((work.service, work.slot)), at=now.at) for work in now.workloads)
    return replace(now, workloads=works)


def anew(seen: Snapshot, *, at: Instant) -> Snapshot:
    """The snapshot with all that it dates as old as ``at``: until then nobody could see whether it lasted."""
    return replace(seen, workloads=tuple(_renewed(work, at) for work in seen.workloads))


def _renewed(work: Workload, at: Instant) -> Workload:
    pods = tuple(
        replace(
            pod,
            since=at,
            containers=tuple(replace(each, since=at) for each in pod.containers),
            trouble=replace(pod.trouble, since=at) if pod.trouble is not None else None,
        )
        for pod in work.pods
    )
    return replace(work, pods=pods, problem_since=at if work.problem else None)


def _workload(now: Workload, before: Workload | None, *, at: Instant) -> Workload:
    same = before is not None and before.revision == now.revision
    pods = {pod.name: pod for pod in before.pods} if before is not None else {}
    return replace(
        now,
        pods=tuple(_pod(pod, pods.get(pod.name), at=at) for pod in now.pods),
        since=before.since if before is not None and same else at,
        problem_since=_problem_since(now, before if same else None, at=at),
    )


def _problem_since(now: Workload, before: Workload | None, *, at: Instant) -> Instant | None:
    if not now.problem:
        return None
    same = before is not None and before.problem and _is_unasked(before) == _is_unasked(now)
    return before.problem_since if before is not None and same else at


def _is_unasked(work: Workload) -> bool:
    """Its grace is longer than that of what is said afterwards."""
    return bool(UNASKED.search(work.problem))


def _pod(now: Pod, before: Pod | None, *, at: Instant) -> Pod:
    known = {container.name: container for container in before.containers} if before is not None else {}
    return replace(
        now,
        containers=tuple(_container(each, known.get(each.name), at=at) for each in now.containers),
        trouble=_trouble(now.trouble, before.trouble if before is not None else None, at=at),
        since=before.since if before is not None and _how(before) == _how(now) else at,
        was_ready=now.ready or (before is not None and before.was_ready),
    )


def _how(pod: Pod) -> object:
    return pod.ready, bool(pod.unplaced), bool(pod.promised), bool(UNBOUND.search(pod.unplaced))


def _trouble(now: Trouble | None, before: Trouble | None, *, at: Instant) -> Trouble | None:
    if now is None:
        return None
    return replace(now, since=before.since if before is not None and _why(before) == _why(now) else at)


def _why(trouble: Trouble) -> str:
    """What it is a trouble of: a volume and a sandbox are both set up, and what is no cause makes none older."""
    return "setup" if trouble.reason in SETUP_WORDS else trouble.reason


def _container(now: Container, before: Container | None, *, at: Instant) -> Container:
    return replace(now, since=before.since if before is not None and _what(before) == _what(now) else at)


def _what(container: Container) -> object:
    """What makes it another state than before: not its message, which counts and dates."""
    state = container.state
    word = state.reason if isinstance(state, Waiting) else ""
    word = "pull" if word in PULL_WORDS else word
    return type(state), word, container.restarts, container.started, bool(container.failing)
