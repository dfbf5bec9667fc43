"""Verdict: what one snapshot says of a slot that was staged.

A slot is ready when each of its workloads is settled and has all its pods ready, on the platform and on the data
plane alike. It is doomed when a workload has pods and every one of them is doomed (Krane's rule: a hiccup of one pod is
no doom), or when the platform refuses to make them. Everything else is progress, and the wait's limit ends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Terminated, Waiting
from bluegreen.domain.stack import Slot

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Container, Pod, Snapshot, Workload

FATAL_REASONS = frozenset({"ContainerCannotRun", "ErrImageNeverPull", "InvalidImageName"})
"""Waiting or terminated for one of these: the next try cannot end differently."""

RESTARTS_ALLOWED = 1
"""A container may end once before it is called a crash loop: one hiccup is no doom."""

_CONFIG_RACE = re.compile(r"failed to sync .* cache")
_NODE_FAULT_EXIT_CODE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a slot is bad, with what a person needs to act on it."""

    service: str
    slot: Slot
    reason: str
    detail: str = ""
    pod: str = ""
    container: str = ""
    exit_code: int | None = None
    advice: str = ""

    def __str__(self) -> str:
        """One line for the screen."""
        code = f", exit code {self.exit_code}" if self.exit_code is not None else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.service} in {self.slot}: {self.reason}{code}{detail}"


@dataclass(frozen=True, slots=True)
class Ready:
    """All pods of the slot are ready, and the data plane knows them."""


@dataclass(frozen=True, slots=True)
class Progressing:
    """Not there yet; ``wants`` says what is missing, a line a workload."""

    wants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doomed:
    """Waiting longer cannot help."""

    cause: Cause


Verdict = Ready | Progressing | Doomed


def judge(snapshot: Snapshot, slot: Slot, *, revision: str) -> Verdict:
    """Judge the slot by the pods of ``revision`` only: yesterday's crash loop must not doom today's release."""
    workloads = snapshot.slot_workloads(slot)
    wants = [] if workloads else [f"{slot}: nothing is known of it"]
    for workload in workloads:
        cause = _doom(workload) if workload.revision == revision else None
        if cause is not None:
            return Doomed(cause)
        wants.extend(_missing(workload, revision))
    return Progressing(tuple(wants)) if wants else Ready()


def _missing(workload: Workload, revision: str) -> list[str]:
    name, wanted = workload.service, workload.replicas
    if workload.revision != revision:
        return [f"{name}: to be staged"]
    if workload.ready < wanted or not workload.settled:
        return [f"{name} {workload.ready}/{wanted} ready{_why(workload)}"]
    if workload.reachable is not None and workload.reachable < wanted:
        return [f"{name} {workload.reachable}/{wanted} known to the data plane"]
    return []


def _why(workload: Workload) -> str:
    for pod in workload.current:
        reason = _state_of(pod)
        if reason:
            return f" ({reason})"
    return ""


def _state_of(pod: Pod) -> str:
    if pod.unplaced:
        return pod.unplaced
    for container in pod.containers:
        if isinstance(container.state, Waiting):
            return container.state.reason
        if container.failing and not pod.ready:
            return container.failing
    return ""


def _doom(workload: Workload) -> Cause | None:
    if workload.problem:
        return Cause(
            service=workload.service,
            slot=workload.slot,
            reason="cannot make its pods",
            detail=workload.problem,
        )
    causes = [_pod_doom(pod) for pod in workload.current]
    if not causes or not all(causes) or len(causes) < workload.replicas:
        return None
    return causes[0]


def _pod_doom(pod: Pod) -> Cause | None:
    if pod.ready:
        return None
    for container in pod.containers:
        cause = _container_doom(pod, container)
        if cause is not None:
            return cause
    return None


def _container_doom(pod: Pod, container: Container) -> Cause | None:
    state = container.state
    if isinstance(state, Waiting):
        return _waiting_doom(pod, container, state)
    for ended in (state, container.last):
        if isinstance(ended, Terminated) and _cannot_run(ended):
            return _cause(pod, container, reason=ended.reason, detail=ended.message, exit_code=ended.exit_code)
    if container.last is not None and container.restarts > RESTARTS_ALLOWED:
        return _crash(pod, container, container.last)
    return None


def _waiting_doom(pod: Pod, container: Container, state: Waiting) -> Cause | None:
    if state.reason in FATAL_REASONS:
        return _cause(pod, container, reason=state.reason, detail=state.message)
    if state.reason == "ErrImagePull" and "not found" in state.message.lower():
        return _cause(
            pod,
            container,
            reason=state.reason,
            detail=state.message,
            advice="was the image built and pushed?",
        )
    if state.reason == "CreateContainerConfigError" and not _CONFIG_RACE.search(state.message):
        return _cause(pod, container, reason=state.reason, detail=state.message)
    if container.last is not None and container.restarts >= RESTARTS_ALLOWED:
        return _crash(pod, container, container.last)
    return None


def _cannot_run(ended: Terminated) -> bool:
    return ended.reason in FATAL_REASONS and ended.exit_code != _NODE_FAULT_EXIT_CODE


def _crash(pod: Pod, container: Container, last: Terminated) -> Cause:
    return _cause(
        pod,
        container,
        reason="crash loop",
        detail=last.message,
        exit_code=last.exit_code,
        advice="its last log lines say why",
    )


def _cause(
    pod: Pod,
    container: Container,
    *,
    reason: str,
    detail: str = "",
    exit_code: int | None = None,
    advice: str = "",
) -> Cause:
    return Cause(
        service=pod.service,
        slot=pod.slot,
        pod=pod.name,
        container=container.name,
        reason=reason,
        detail=detail,
        exit_code=exit_code,
        advice=advice,
    )
