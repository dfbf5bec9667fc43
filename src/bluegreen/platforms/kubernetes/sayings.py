"""What the cluster's Events say of pods, where their status is silent: volumes, networks, nodes, probes, autoscalers.

An Event outlives what it tells of, by an hour. So each is believed only while the pod's status agrees with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.excerpt import shown
from bluegreen.domain.snapshot import Trouble
from bluegreen.domain.values import dataclass
from bluegreen.domain.words import DELAY_WORDS, GATE_WORDS, NODE_WORDS, SETUP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bluegreen.platforms.kubernetes.objects import Event, Pod

LONGEST = 300
"""Characters of a message."""

_KILLED = re.compile(r"Container (\S+) failed (startup|liveness) probe, will be restarted")
_FAILED = re.compile(r"(Startup|Readiness|Liveness) probe (?:failed|errored)[^:]*: (.*)", re.DOTALL)
_CONTAINER = re.compile(r"spec\.(?:initC|c)ontainers\{(.+)\}")
_NOT_SET_UP = SETUP_WORDS | DELAY_WORDS
_PROMISES = frozenset({"TriggeredScaleUp", "Nominated"})
"""How the cluster autoscaler and Karpenter say that a node is being made."""
_NO_PROMISE = "NotTriggerScaleUp"
NOT_SEEN = "no scheduler has looked at it yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sayings:
    """All that was said of one pod, oldest first."""

    events: tuple[Event, ...] = ()

    def trouble(self, pod: Pod) -> Trouble | None:
        """What keeps it from starting, as long as nothing of it has; that its node does not answer, said last; or what
        else has to say that it is ready, when its containers are.
        """
        ready, last = pod.condition("Ready"), self.events[-1] if self.events else None
        if ready is not None and ready.reason in GATE_WORDS:
            return Trouble(reason=ready.reason, message=shown(ready.message, longest=LONGEST))
        if last is not None and last.reason in NODE_WORDS:
            return _trouble(last)
        set_up = pod.condition("PodReadyToStartContainers")
        if set_up is None:  # not said by this kubelet: then only what was said last is still true
            return _trouble(last) if last is not None and last.reason in _NOT_SET_UP else None
        said = [event for event in self.events if event.reason in _NOT_SET_UP]
        return _trouble(said[-1]) if said and set_up.status == "False" and not _has_run(pod) else None

    def promise(self, pod: Pod, *, coming: bool) -> str:
        """Who is about to give it a place. ``coming``: a node is made for another pod of its slot.

        Of a pod that fits on a node that it makes already, or has yet to look at, an autoscaler says nothing.
        """
        placed = pod.condition("PodScheduled")
        if placed is None:
            return NOT_SEEN
        if placed.reason == "SchedulingGated":
            return "its scheduling gates are not open yet"
        if placed.reason == "SchedulerError":
            return "the scheduler had an error, and tries again"
        if pod.nominated:
            return f"the scheduler makes room on {pod.nominated}"
        made = self.node_is_made
        return "an autoscaler makes a node" if made or (made is None and coming) else ""

    @property
    def node_is_made(self) -> bool | None:
        """Whether an autoscaler makes a node for it; None: it has not said anything of it."""
        said = [event.reason for event in self.events if event.reason in _PROMISES or event.reason == _NO_PROMISE]
        return said[-1] != _NO_PROMISE if said else None

    def condemned(self, container: str) -> str:
        """The probe, or the hook, for which the kubelet ended the container last."""
        found = [word for event in self.events if (word := _condemned(event, container))]
        return found[-1] if found else ""

    def probe(self, container: str, *, kind: str) -> str:
        """What came of its probe of this kind last, as in ``readiness: HTTP probe failed with statuscode: 503``."""
        for event in reversed(self.events):
            match = _FAILED.match(event.message) if event.reason == "Unhealthy" else None
            if match is not None and _container_of(event) == container and match[1].lower() == kind:
                return f"{kind}: {shown(match[2].strip(), longest=LONGEST)}"
        return ""


NOTHING = Sayings()


def sayings(events: Iterable[Event]) -> Mapping[str, Sayings]:
    """By the uid of the pod."""
    by_pod: dict[str, list[Event]] = {}
    for event in sorted(events, key=_when):
        by_pod.setdefault(event.about_uid, []).append(event)
    return {uid: Sayings(events=tuple(found)) for uid, found in by_pod.items()}


def _when(event: Event) -> tuple[int, str, float]:
    """By the API server's count of writes: each event has the clock of whoever wrote it, and two of them differ."""
    return len(event.meta.version), event.meta.version, event.last


def _trouble(event: Event) -> Trouble:
    return Trouble(reason=event.reason, message=shown(event.message, longest=LONGEST))


def _has_run(pod: Pod) -> bool:
    states: Sequence[str] = [kind for each in pod.containers for kind in (each.state.kind, each.last.kind)]
    return "running" in states or "terminated" in states


def _condemned(event: Event, container: str) -> str:
    """For what the container was ended by the word of this Event; empty: it says nothing of that."""
    if event.reason == "FailedPostStartHook":
        return "postStart" if _container_of(event) == container else ""
    killed = _KILLED.match(event.message)
    return killed[2] if killed is not None and killed[1] == container else ""


def _container_of(event: Event) -> str:
    found = _CONTAINER.fullmatch(event.field)
    return found[1] if found is not None else ""
